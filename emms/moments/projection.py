"""Cholesky factor of the feature correlations, with an optional ridge."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dpstrf

CONSTANT = float(np.finfo(np.float32).eps)
"""A feature whose standard deviation is at most this part of its mean is constant: float32 cannot tell it apart."""
DEPENDENT = 1e-12
"""A feature is a combination of others when they leave no more than this part of its variance. Float64 sums are exact
to about 1e-15 of the variance and float32 features to 1e-14, so this keeps all that is signal and drops all noise."""


class ColumnSpace:
    """The span of the centred feature columns: a Cholesky factor of the independent ones' correlations.

    scatter: (D1, D1) about the mean, upper triangle; mean: (D1,); count: N. Columns are scaled to unit variance first,
    so that the units of a feature do not matter. `rank` is the dimension, `columns` names the features kept.

    penalties: (D1,), of ridge regression, on the square of each feature's weight. `solve` then gives its weights, and
    `half` the part of the labels' squares that the penalised objective explains.
    """

    def __init__(self, scatter: np.ndarray, mean: np.ndarray, count: int, penalties: np.ndarray | None = None) -> None:
        squares = np.diag(scatter)
        self._n_features = len(mean)
        varying = np.flatnonzero(varies(squares, mean, count))
        self._scale = 1 / np.sqrt(squares[varying])
        correlations = scatter if len(varying) == len(mean) else scatter[np.ix_(varying, varying)]
        correlations = correlations * self._scale
        correlations *= self._scale[:, None]
        # Exactly one, so that rounding does not decide on the first pivot of columns that depend on each other.
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
    """Say of each feature whether it is more than a constant, (D1,); squares: sums of squares about the mean (D1,)."""
    return squares > count * (CONSTANT * mean) ** 2


def _factorise(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an upper triangular factor of the independent columns' correlations, and which columns these are."""
    n = len(correlations)
    if n == 0:
        return correlations, np.arange(0)
    factor, failed_at = dpotrf(correlations, clean=0)
    if not failed_at and np.diag(factor).min() ** 2 > DEPENDENT:
        return factor, np.arange(n)
    # Some columns depend on others: pivoting (several times slower) finds out which.
    factor, order, rank, _ = dpstrf(correlations, tol=DEPENDENT)
    return np.asfortranarray(factor[:rank, :rank]), order[:rank] - 1
