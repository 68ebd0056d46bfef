"""What estimators that hold all samples share: blocks of bounded size, distances, an order that is the samples' own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from emms.errors import EstimatorError
from emms.moments.projection import varies

_BLOCK_NUMBERS = 2**22
"""Numbers in one block: 32 MB of float64, large enough for BLAS, whatever N."""
SLACK = 32 * float(np.finfo(float).eps)
"""Rounding error of a squared distance, relative to the larger of the two squares that it is a difference of."""
_LARGEST = 1e140
"""Larger numbers cannot be squared and summed in float64."""


def row_blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Yield ranges that cover all rows, each few enough that rows of `width` numbers stay within bounded memory."""
    size = max(1, _BLOCK_NUMBERS // width)
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def class_sums(values: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the sum of the rows of values (B, S) in each class y (B,), (C, S)."""
    members = csr_array((np.ones(len(y)), (y, np.arange(len(y)))), shape=(n_classes, len(y)))
    return members @ values


def class_means(X: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the means (C, D) of the classes y (N,) of X (N, D), of which there are `counts` (C,) samples."""
    return class_sums(X, y, len(counts)) / counts[:, None]


def bounded(X: np.ndarray) -> np.ndarray:
    """Return features divided by the largest of them all, so that no square overflows; zero stays zero."""
    largest = np.abs(X).max()
    return X / largest if largest > 0 else X


def centred(X: np.ndarray) -> np.ndarray:
    """Return features less their mean; columns that are constant, or nearly so in float32, become exactly zero.

    Raises EstimatorError when they are too large for their squares to be summed.
    """
    if np.abs(X).max() > _LARGEST:
        raise EstimatorError("features are too large to square in float64; scale them, or leave the network out")
    result = X - X[0]  # first by exact differences: the mean of a constant column is off by a rounding error
    result -= result.mean(axis=0)
    result[:, ~varies(np.einsum("nd,nd->d", result, result), X.mean(axis=0), len(X))] = 0
    return result


def varying(X: np.ndarray) -> np.ndarray:
    """Return features X (N, D1) less their mean.

    Raises EstimatorError when all are constant, or too large for their squares to be summed.
    """
    X = centred(X)
    if not X.any():
        raise EstimatorError("all features are constant, so they tell nothing of the labels; leave the network out")
    return X


def in_row_space(X: np.ndarray) -> np.ndarray:
    """Return coordinates (N, min(N, D1)) of the rows of X (N, D1), with the same inner products."""
    return X if len(X) >= X.shape[1] else np.asarray(np.linalg.qr(X.T, mode="r")).T


def axis_signs(axes: np.ndarray) -> np.ndarray:
    """Return 1 or -1 for each axis (d, D1), by which its largest loading becomes positive: the first, of equal ones.

    With scikit-learn, rounding decides which of two features is the larger where they are each other's opposite.
    """
    loadings = np.abs(axes)
    first = np.argmax(loadings >= (1 - 1e-6) * loadings.max(axis=1, keepdims=True), axis=1)
    return np.where(axes[np.arange(len(axes)), first] < 0, -1, 1)


def canonical_order(X: np.ndarray) -> np.ndarray:
    """Return an order of the samples (N,) that depends on their features X (N, D1) alone, not on how they came.

    Where random choices are made in this order, a permutation of the samples changes nothing, unless samples of
    different classes have the very same features.
    """
    direction = np.random.default_rng(0).standard_normal(X.shape[1])
    # Row by row, not by BLAS: equal samples must have equal places, whatever the processor, so that they stay in order.
    places = [(X[rows] * direction).sum(axis=1) for rows in row_blocks(*X.shape)]
    return np.argsort(np.concatenate(places), kind="stable")


def squared_distances(X: np.ndarray, squares: np.ndarray, rows: slice, columns: slice = slice(None)) -> np.ndarray:
    """Return the squared Euclidean distances of X[rows] to X[columns]; squares (N,): each row's sum of squares.

    Distances that may be rounding are zero: the root of one would be 1e-8, not 0, between equal samples.
    """
    distances = (-2 * X[rows]) @ X[columns].T
    distances += squares[rows, None]
    distances += squares[columns]
    distances[distances <= SLACK * np.maximum(squares[rows, None], squares[columns])] = 0
    return distances
