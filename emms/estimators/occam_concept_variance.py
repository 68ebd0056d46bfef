"""Concept variance of "Occam's model": how often nearby samples have different labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emms.estimators.base import SampleEstimator
from emms.estimators.samples import bounded, centred, row_blocks, squared_distances
from emms.estimators.settings import Positive

_LEAST = 1e-10
"""Minimum of the denominator, reached if two samples have the maximum distance: the authors' value."""


class OccamConceptVariance(SampleEstimator):
    """Minus the concept variance, from -1 to 0: larger is better (in the paper, smaller is).

    The concept variance of labels y (N,) over features X (N, D1), each scaled to the range 0 to 1, is
        mean_n sum_{m != n} W_nm [y_n != y_m] / sum_{m != n} W_nm,     W_nm = 2^(-alpha d_nm / (sqrt(D1) - d_nm)),
    with d_nm = |x_n - x_m|, at most sqrt(D1): the share of other samples with different labels, weighted by proximity.
    It does not depend on the scale and the offset of each feature.

    alpha: larger values give the nearest samples more weight.

    Singh, Hess, Vanschoren: Occam's model: Selecting simpler representations for better transferability estimation,
    2025; the measure is Vilalta's concept variation (ICML workshop on meta-learning, 1999).
    """

    name: ClassVar[str] = "occam-concept-variance"
    summary: ClassVar[str] = "how rarely nearby samples have different labels"
    paper: ClassVar[str] = "Singh et al., 2025, arXiv 2502.06925"
    cost: ClassVar[str] = "2 N^2 D1"

    def __init__(self, alpha: Positive = 2.0) -> None:
        self.alpha = alpha

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        X = centred(_scaled(centred(bounded(X))))
        squares, furthest = np.einsum("nd,nd->n", X, X), np.sqrt(X.shape[1])
        variance = 0.0
        for rows in row_blocks(len(X), len(X)):
            distances = np.sqrt(squared_distances(X, squares, rows))
            samples = np.arange(len(distances))
            exponents = distances / np.maximum(furthest - distances, _LEAST)
            exponents[samples, rows.start + samples] = np.inf  # no sample is its own neighbour
            # Relative to the nearest sample's, since all weights of an outlier may be too small for float64.
            exponents -= exponents.min(axis=1, keepdims=True)
            weights = np.exp2(-self.alpha * exponents, out=exponents)
            other = np.where(y[rows, None] != y, weights, 0)
            variance += float((other.sum(axis=1) / weights.sum(axis=1)).sum())
        return -variance / len(X)


def _scaled(X: np.ndarray) -> np.ndarray:
    """Return features scaled to the range 0 to 1; constant ones become 0."""
    low = X.min(axis=0)
    width = X.max(axis=0) - low
    return (X - low) / np.where(width > 0, width, 1)
