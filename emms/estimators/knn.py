"""k-NN: how often the nearest other samples have the same label."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import SampleEstimator
from emms.estimators.samples import SLACK, bounded, centred, row_blocks, squared_distances
from emms.estimators.settings import Count

Distance = Literal["cosine", "euclidean"]


class KNN(SampleEstimator):
    """Leave-one-out accuracy of the k-nearest-neighbour classifier, from 0 to 1.

    For features X (N, D1) and labels y (N,): the mean over the samples n of [y_n is the most frequent class among the
    k other samples nearest to x_n]. If m classes are equally frequent and y_n is among them it counts 1 / m; all
    samples at the distance of the k-th vote, so that the order of samples and classes does not matter.

    k: number of neighbours. distance: `cosine`, 1 - x'z / (|x| |z|), which does not depend on the scale of each sample,
    or `euclidean`. Neither depends on the scale of X. Memory is that of the features and a block of distances.

    Sorkhei, Matsoukas, Fredin Haslum, Konuk, Smith: k-NN as a Simple and Effective Estimator of Transferability, TMLR
    2025; they hold out a part of the training set, while leave-one-out needs no split.
    """

    name: ClassVar[str] = "knn"
    summary: ClassVar[str] = "leave-one-out accuracy of a nearest-neighbour classifier"
    paper: ClassVar[str] = "Sorkhei et al., TMLR 2025, arXiv 2503.18528"
    cost: ClassVar[str] = "2 N^2 D1"

    def __init__(self, k: Count = 5, distance: Distance = "cosine") -> None:
        self.k, self.distance = k, distance

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        if self.k >= len(X):
            raise EstimatorError(
                f"{len(X)} samples have {len(X) - 1} neighbours each, not k = {self.k}; use more samples, or a smaller "
                f"'k' of estimator '{self.name}'"
            )
        X, squares = comparable(X, self.distance)
        right = 0.0
        for rows in row_blocks(len(X), len(X)):
            sample, neighbour = neighbours(X, squares, rows, self.k)
            votes = np.bincount(sample * n_classes + y[neighbour], minlength=(rows.stop - rows.start) * n_classes)
            votes = votes.reshape(-1, n_classes)
            winners = votes == votes.max(axis=1, keepdims=True)
            right += float((winners[np.arange(len(votes)), y[rows]] / winners.sum(axis=1)).sum())
        return right / len(X)


def comparable(X: np.ndarray, distance: Distance) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D1) whose Euclidean distances have the order of `distance`, and their squares (N,)."""
    X = bounded(X)
    if distance == "cosine":
        X = _unit_rows(X)  # half their squared distance is the cosine distance
    X = centred(X)  # preserves distances, and avoids the rounding errors of a large mean
    return X, np.einsum("nd,nd->n", X, X)


def neighbours(
    X: np.ndarray, squares: np.ndarray, rows: slice, k: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a sample of `rows`, counted from the first, and a neighbour: the k nearest ones, and ties.

    X, squares: as `comparable` returns them. groups: (N,); samples of one group are not neighbours.
    """
    distances = squared_distances(X, squares, rows)
    samples = np.arange(len(distances))
    distances[samples, rows.start + samples] = np.inf
    if groups is not None:
        distances[groups[rows, None] == groups] = np.inf
    # Distances that differ by less than their rounding errors are equal.
    reach = np.partition(distances, k - 1, axis=1)[:, k - 1] + SLACK * squares[rows]
    distances -= SLACK * squares
    sample, neighbour = np.nonzero(distances <= reach[:, None])
    return sample, neighbour


def _unit_rows(X: np.ndarray) -> np.ndarray:
    """Return rows scaled to length one; rows of zeros are unchanged."""
    largest = np.abs(X).max(axis=1, keepdims=True)
    X = X / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("nd,nd->n", X, X))[:, None]
    return X / np.where(length > 0, length, 1)
