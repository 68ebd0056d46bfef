"""Merge classes whose names differ only in case, white space, underscores or hyphens."""

from __future__ import annotations

import numpy as np

from emms.downstream.class_labels import spoken_name
from emms.errors import printable


def class_key(label: str) -> str:
    """Return what labels of the same class have in common; empty for a label without meaning, such as `_`."""
    return spoken_name(label).casefold()


def merged(labels: list[str], counts: np.ndarray, source: str) -> tuple[list[str], np.ndarray, str]:
    """Merge labels that label encoders could not tell apart.

    counts: samples of each label, (U,).

    Returns the classes in sorted order, each as it is spelled most often, the index of each label's class, (U,), and a
    note about labels that are merged, empty if there are none.
    """
    spellings: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        spellings.setdefault(class_key(label), []).append(number)
    chosen = [max(numbers, key=lambda number: counts[number]) for numbers in spellings.values()]  # the first if equal
    order = sorted(range(len(chosen)), key=lambda i: labels[chosen[i]])
    index = np.empty(len(labels), dtype=np.int32)
    groups = list(spellings.values())
    for position, i in enumerate(order):
        index[groups[i]] = position
    note = ""
    if len(groups) < len(labels):
        numbers = next(numbers for numbers in groups if len(numbers) > 1)
        example = " and ".join(f"'{printable(labels[number])}'" for number in numbers[:2])
        note = (
            f"{len(labels):,} labels of '{source}' are merged into {len(groups):,}, since some differ only in case, "
            f"white space, '_' or '-', such as {example}"
        )
    return [labels[chosen[i]] for i in order], index, note
