"""INT of "Occam's model": mean distance between samples of different classes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emms.estimators.base import SampleEstimator
from emms.estimators.samples import bounded, centred, class_sums, row_blocks, squared_distances

Scale = Literal["raw", "spread"]


class OccamINT(SampleEstimator):
    """Pairwise normalised interclass distance (INT): larger is better.

    For features X (N, D1) and labels y (N,), the mean over all pairs of classes a < b of the mean Euclidean distance
    between a sample of a and one of b,
        2 / (C (C - 1)) sum_{a < b} 1 / (N_a N_b) sum_{n in a, m in b} |x_n - x_m|.

    scale: `raw`, as in the paper, does not scale features, so that a network whose features are twice as large
    has twice the score; `spread` divides by the root mean square distance of the samples from their mean.

    Singh, Hess, Vanschoren: Occam's model: Selecting simpler representations for better transferability estimation,
    2025; the index is Bezdek's and Pal's (IEEE Transactions on Systems, Man, and Cybernetics B, 1998).
    """

    name: ClassVar[str] = "occam-int"
    rewards_width = True
    summary: ClassVar[str] = "mean distance between samples of different classes"
    paper: ClassVar[str] = "Singh et al., 2025, arXiv 2502.06925"
    cost: ClassVar[str] = "N^2 D1"

    def __init__(self, scale: Scale = "raw") -> None:
        self.scale = scale

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        X = centred(X if self.scale == "raw" else bounded(X))
        squares = np.einsum("nd,nd->n", X, X)
        sums = np.zeros((n_classes, n_classes))
        for rows in row_blocks(len(X), len(X)):
            # Each pair once: those above the diagonal.
            later = slice(rows.start, len(X))
            distances = np.triu(np.sqrt(squared_distances(X, squares, rows, later)), 1)
            by_class = class_sums(distances, y[rows], n_classes)
            sums += class_sums(by_class.T, y[later], n_classes).T
        counts = np.bincount(y, minlength=n_classes)
        means = (sums + sums.T) / np.outer(counts, counts)
        result = means[np.triu_indices(n_classes, 1)].mean()
        if self.scale == "spread":
            spread = np.sqrt(squares.mean())
            return float(result / spread) if spread > 0 else 0.0
        return float(result)
