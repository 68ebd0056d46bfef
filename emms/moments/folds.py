"""Folds for cross-validation: which sample is in which, and the moments of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from emms.errors import EstimatorError
from emms.moments.base import Moments

SUMMED_ROWS = 4_096
"""Samples in memory at a time when moments are summed up: 20 MB of features at D1 = 1,280."""


def deal(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each sample, (N,), from its label (N,).

    Samples of one label are dealt out in random order, so that each label is spread over the folds as evenly as can
    be, and the folds are of even size.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[order] = np.arange(len(labels)) % folds
    return dealt


def add_up(
    parts: Sequence[Moments],
    batches: Iterable[np.ndarray],
    dealt: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray | None = None,
) -> None:
    """Update the moments of each fold with its samples.

    parts: one a fold. batches: features (B, D1), in the order of the samples. dealt, labels: the fold and the class of
    each sample, (N,). targets: label embeddings (C, D2, K), where the moments take those and not classes.
    """
    start = 0
    for batch in _gathered(batches):
        if start + len(batch) > len(labels):
            raise EstimatorError(f"there are more rows of features than labels, of which there are {len(labels)}")
        here, fold_of = labels[start : start + len(batch)], dealt[start : start + len(batch)]
        for fold, part in enumerate(parts):
            mine = slice(None) if len(parts) == 1 else fold_of == fold
            part.update(batch[mine], here[mine] if targets is None else targets[here[mine]])
        start += len(batch)


def _gathered(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield batches put together to SUMMED_ROWS or more, so that each fold gets enough of them for BLAS."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= SUMMED_ROWS:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
