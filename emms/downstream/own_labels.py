"""Tasks in which each sample has a label of its own: captions, free answers, boxes written as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emms.downstream.base import PLACEHOLDER, Downstream, check_template
from emms.errors import DatasetError, LabelEncoderError


class OwnLabels(Downstream):
    """A task in which labels differ by sample. Samples with equal labels share one embedding, and no more."""

    classes = False
    template = PLACEHOLDER

    def check(self, labels: Sequence[str], counts: np.ndarray, where: str = "") -> None:
        """Raise DatasetError if there are fewer than two different labels, or a label is blank."""
        if len(labels) < 2:
            raise DatasetError(f"all samples have one label ('{labels[0]}'); it takes two or more to rank networks")
        for label in labels:
            if not label.strip():
                raise DatasetError("a label is blank; fill it in, or remove the sample")

    def notes(self, labels: Sequence[str], count: int) -> list[str]:
        """Return nothing: labels that differ are what this task is about."""
        return []

    def describe(self, labels: int, count: int) -> str:
        """Return how many samples and different labels there are."""
        return f"{count:,} samples, {labels:,} different labels"

    def texts(self, labels: Sequence[str], template: str) -> list[str]:
        """Return the template with each label in it, white space made single."""
        check_template(template)
        texts = [" ".join(label.split()) for label in labels]
        if "" in texts:
            raise LabelEncoderError("a label is blank; fill it in, or remove the sample")
        return [template.replace(PLACEHOLDER, text) for text in texts]
