"""Shared functions of estimators that read all samples: blocks of bounded size, distances, a canonical order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from emms.errors import EstimatorError
from emms.moments.projection import varies

_BLOCK_NUMBERS = 2**22
"""Numbers per block: 32 MB of float64, large enough for BLAS, for any N."""
SLACK = 32 * float(np.finfo(float).eps)
"""Rounding error of a squared distance, relative to the larger of the squares from which it is computed."""
_LARGEST = 1e140
"""Larger numbers cannot be squared and summed in float64."""


def row_blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Yield consecutive ranges of rows, so that a block of rows of `width` numbers has bounded size."""
    size = max(1, _BLOCK_NUMBERS // width)
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def class_sums(values: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the sums (C, S), per class y (B,), of the rows of values (B, S)."""
    members = csr_array((np.ones(len(y)), (y, np.arange(len(y)))), shape=(n_classes, len(y)))
    return members @ values


def class_means(X: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the means (C, D) of X (N, D) per class y (N,); counts: (C,), samples per class."""
    return class_sums(X, y, len(counts)) / counts[:, None]


def bounded(X: np.ndarray) -> np.ndarray:
    """Return features divided by the largest absolute value, so that squares do not overflow; zeros stay zeros."""
    largest = np.abs(X).max()
    return X / largest if largest > 0 else X


def centred(X: np.ndarray) -> np.ndarray:
    """Return features minus their mean; columns that are constant up to float32's precision become exactly zero.

    Raises EstimatorError if they are too large for float64 sums of squares.
    """
    if np.abs(X).max() > _LARGEST:
        raise EstimatorError("features are too large to square in float64; scale them, or leave the network out")
    result = X - X[0]  # exact for constant columns, whose mean may have a rounding error
    result -= result.mean(axis=0)
    result[:, ~varies(np.einsum("nd,nd->d", result, result), X.mean(axis=0), len(X))] = 0
    return result


def varying(X: np.ndarray) -> np.ndarray:
    """Return features X (N, D1) minus their mean.

    Raises EstimatorError if all are constant, or too large for float64 sums of squares.
    """
    X = centred(X)
    if not X.any():
        raise EstimatorError("all features are constant, so they say nothing about labels; leave the network out")
    return X


def in_row_space(X: np.ndarray) -> np.ndarray:
    """Return coordinates (N, min(N, D1)) of the rows of X (N, D1) in their span, with the same inner products."""
    return X if len(X) >= X.shape[1] else np.asarray(np.linalg.qr(X.T, mode="r")).T


def axis_signs(axes: np.ndarray) -> np.ndarray:
    """Return 1 or -1 for each axis (d, D1) such that its largest loading, the first of equal ones, becomes positive.

    scikit-learn's signs depend on rounding if two loadings have opposite signs and the same size.
    """
    loadings = np.abs(axes)
    first = np.argmax(loadings >= (1 - 1e-6) * loadings.max(axis=1, keepdims=True), axis=1)
    return np.where(axes[np.arange(len(axes)), first] < 0, -1, 1)


def canonical_order(X: np.ndarray) -> np.ndarray:
    """Return an order of the samples (N,) that depends only on their features X (N, D1).

    Random choices in this order do not depend on the order of the input, unless samples of different classes have
    exactly the same features.
    """
    direction = np.random.default_rng(0).standard_normal(X.shape[1])
    # Without BLAS, so that equal samples have exactly equal projections on any processor.
    projections = [(X[rows] * direction).sum(axis=1) for rows in row_blocks(*X.shape)]
    return np.argsort(np.concatenate(projections), kind="stable")


def squared_distances(X: np.ndarray, squares: np.ndarray, rows: slice, columns: slice = slice(None)) -> np.ndarray:
    """Return the squared Euclidean distances of X[rows] to X[columns]; squares (N,): each row's sum of squares.

    Distances within the rounding error become zero, since the distance of equal samples would be 1e-8 instead of 0.
    """
    distances = (-2 * X[rows]) @ X[columns].T
    distances += squares[rows, None]
    distances += squares[columns]
    distances[distances <= SLACK * np.maximum(squares[rows, None], squares[columns])] = 0
    return distances
