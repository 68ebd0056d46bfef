"""Tasks in which each sample has its own label: captions, free-form answers, boxes written as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from emms.downstream.base import PLACEHOLDER, Downstream
from emms.errors import DatasetError, LabelEncoderError


class OwnLabels(Downstream):
    """Base class of tasks in which labels differ by sample. Samples with equal labels share one embedding."""

    classes = False
    template = PLACEHOLDER

    def check(self, labels: Sequence[str], counts: np.ndarray, where: str = "") -> None:
        """Raise DatasetError if there are fewer than two different labels, or a label is blank."""
        if len(labels) < 2:
            raise DatasetError(
                f"all samples have the same label ('{labels[0]}'); ranking networks needs two or more different labels"
            )
        for label in labels:
            if not label.strip():
                raise DatasetError("a label is blank; fill it in, or remove the sample")

    def notes(self, labels: Sequence[str], count: int) -> list[str]:
        """Return no warnings: labels are expected to differ."""
        return []

    def describe(self, labels: int, count: int) -> str:
        """Return the number of samples and of different labels as text."""
        return f"{count:,} samples, {labels:,} different labels"

    def texts(self, labels: Sequence[str], template: str) -> list[str]:
        """Return the template filled in with each label, with runs of white space reduced to one space.

        A label of several lines is several texts, whose embeddings are averaged: each line is filled in.
        """
        self.check_template(template)
        texts = ["\n".join(self._lines(label, template)) for label in labels]
        if "" in texts:
            raise LabelEncoderError(
                f"label number {texts.index('') + 1} of {len(texts)} is blank; fill it in, or remove its samples"
            )
        return texts

    def fill_in(self, template: str, line: str) -> str:
        """Return the template filled in with one line of a label."""
        return template.replace(PLACEHOLDER, line)

    def _lines(self, label: str, template: str) -> Iterator[str]:
        return (self.fill_in(template, " ".join(line.split())) for line in label.split("\n") if line.strip())
