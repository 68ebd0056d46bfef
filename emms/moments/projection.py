"""Cholesky factor of the feature correlations, with an optional ridge."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dpstrf

CONSTANT = float(np.finfo(np.float32).eps)
"""A feature whose standard deviation is at most this fraction of its mean counts as constant (float32's precision)."""
DEPENDENT = 1e-12
"""A feature of which others leave at most this fraction of the variance unexplained counts as a combination of them.
Float64 sums are exact to about 1e-15 of the variance and float32 features to 1e-14, so this separates signal from
rounding."""


class ColumnSpace:
    """Column space of the centred features: a Cholesky factor of the correlations of independent columns.

    scatter: (D1, D1) about the mean, upper triangle; mean: (D1,); count: N. Columns are scaled to unit variance first,
    so that the units of features do not matter. `rank` is the dimension, `columns` are the features kept.

    penalties: (D1,), of ridge regression, on the squares of the features' weights. `solve` then returns its weights,
    and `half` refers to the penalised objective.
    """

    def __init__(self, scatter: np.ndarray, mean: np.ndarray, count: int, penalties: np.ndarray | None = None) -> None:
        squares = np.diag(scatter)
        self._n_features = len(mean)
        varying = np.flatnonzero(varies(squares, mean, count))
        self._scale = 1 / np.sqrt(squares[varying])
        correlations = scatter if len(varying) == len(mean) else scatter[np.ix_(varying, varying)]
        correlations = correlations * self._scale
        correlations *= self._scale[:, None]
        # Exactly 1, so that the first pivot of dependent columns is not decided by rounding.
        np.fill_diagonal(correlations, 1 if penalties is None else 1 + penalties[varying] * self._scale**2)
        self._factor, order = _factorise(correlations)
        self.columns: np.ndarray = varying[order]
        self._scale = self._scale[order]

    @property
    def rank(self) -> int:
        """Dimension of the column space."""
        return len(self.columns)

    def half(self, cross: np.ndarray) -> np.ndarray:
        """Return H (rank, m) with H'H = C'G^+C, for C = X'Y (D1, m) of centred features."""
        in_order = np.array_equal(self.columns, np.arange(len(cross)))  # the usual case, which needs no copy
        scaled = np.asfortranarray((cross if in_order else cross[self.columns]) * self._scale[:, None])
        return dtrsm(1.0, self._factor, scaled, trans_a=1, overwrite_b=1) if self.rank else scaled

    def solve(self, cross: np.ndarray) -> np.ndarray:
        """Return w (D1, m), a least-squares solution of X w = Y for C = X'Y (D1, m); zero for columns not kept."""
        solution = np.zeros((self._n_features, cross.shape[1]))
        if self.rank:
            solution[self.columns] = dtrsm(1.0, self._factor, self.half(cross)) * self._scale[:, None]
        return solution


def varies(squares: np.ndarray, mean: np.ndarray, count: int) -> np.ndarray:
    """Return whether each feature is not constant, (D1,); squares: sums of squares about the mean, (D1,)."""
    return squares > count * (CONSTANT * mean) ** 2


def _factorise(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper triangular factor of the correlations of independent columns, and the indices of these."""
    n = len(correlations)
    if n == 0:
        return correlations, np.arange(0)
    factor, failed_at = dpotrf(correlations, clean=0)
    if not failed_at and np.diag(factor).min() ** 2 > DEPENDENT:
        return factor, np.arange(n)
    # Some columns depend on others: find them by pivoting, which is several times slower.
    factor, order, rank, _ = dpstrf(correlations, tol=DEPENDENT)
    return np.asfortranarray(factor[:rank, :rank]), order[:rank] - 1
