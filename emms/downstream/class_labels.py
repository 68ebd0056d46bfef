"""Tasks whose samples share labels, such as classes or answers from a closed list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from emms.downstream.base import PLACEHOLDER, Downstream
from emms.downstream.meaningless import meaningless
from emms.errors import DatasetError, LabelEncoderError


class ClassLabels(Downstream):
    """Base class of tasks in which many samples have the same label."""

    classes = True
    metric: ClassVar[str] = "accuracy"

    def check(self, labels: Sequence[str], counts: np.ndarray, where: str = "; add some, or remove the class") -> None:
        """Raise DatasetError if there are fewer than two classes, blank or equal class names, or an empty class."""
        if len(labels) < 2:
            raise DatasetError(f"the dataset has only one class ('{labels[0]}'); ranking networks needs two or more")
        by_stripped: dict[str, str] = {}
        for name in labels:
            if not name.strip():
                raise DatasetError(f"class name {name!r} is blank; give the class a name")
            if name.strip() in by_stripped:
                raise DatasetError(
                    f"class names {by_stripped[name.strip()]!r} and {name!r} are the same; rename or merge one"
                )
            by_stripped[name.strip()] = name
        for name, count in zip(labels, counts, strict=True):
            if not count:
                raise DatasetError(f"class '{name}' has no sample{where}")

    def notes(self, labels: Sequence[str], count: int) -> list[str]:
        """Return warnings if every class has a single sample, or if class names have no meaning."""
        notes = []
        if count <= len(labels):
            notes.append(
                f"each of the {count} classes has one sample, which cannot show what the samples of a class have in "
                f"common: scores will say little; add samples, or raise `limit`, to have several per class"
            )
        unclear = meaningless([spoken_name(label) for label in labels])
        return [*notes, unclear] if unclear else notes

    def describe(self, labels: int, count: int) -> str:
        """Return the number of samples and classes as text."""
        return f"{count:,} samples, {labels:,} classes"

    def texts(self, labels: Sequence[str], template: str) -> list[str]:
        """Return the template filled in with the spoken form of each class name."""
        self.check_template(template)
        spoken: dict[str, str] = {}
        for label in labels:
            name = spoken_name(label)
            if not name:
                raise LabelEncoderError(f"the name of class '{label}' has no text left for a label encoder; rename it")
            if name in spoken:
                raise LabelEncoderError(
                    f"classes '{spoken[name]}' and '{label}' have the same text '{name}', so no label encoder can "
                    f"tell them apart; rename one or merge them"
                )
            spoken[name] = label
        return [template.replace(PLACEHOLDER, name) for name in spoken]


def spoken_name(label: str) -> str:
    """Return a class name with underscores, and hyphens between words, replaced by spaces.

    A leading hyphen is kept: `-1` is a number.
    """
    return " ".join(re.sub(r"(?<=\w)-+(?=\w)", " ", label.replace("_", " ")).split())
