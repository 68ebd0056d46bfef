"""k-NN on label similarity: how similar the labels of the nearest other samples are."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from emms.errors import EstimatorError
from emms.estimators.base import Estimator, finite
from emms.estimators.knn import Distance, comparable, neighbours
from emms.estimators.samples import row_blocks
from emms.estimators.settings import Count
from emms.estimators.source import Source
from emms.moments.checks import as_class_indices, as_numbers, check_finite
from emms.moments.rows import RowFile, Rows, blocks


class KNNLabels(Estimator):
    """Mean cosine similarity of a sample's label embedding to those of its k nearest neighbours, from -1 to 1.

    For features X (N, D1) and label embeddings Z (N, D2, K), centred by their mean over the samples: the mean over the
    samples n, the k other samples m nearest to x_n, and the encoders k, of z_nk'z_mk / (|z_nk| |z_mk|). It is what k-NN
    accuracy becomes if labels are not just equal or different, so that it is for captions, answers and boxes as well as
    for classes. Neighbours drawn at random score 0, up to 1 / N. Nothing is drawn by a seed or tuned. A label that is
    the mean of all has similarity 0.

    k, distance: as for `KNN`; all samples at the distance of the k-th neighbour count as neighbours. Samples of the
    same group, such as captions of the same image, are not neighbours: their labels are similar for any network.
    Memory is that of the features and a block of distances.

    After Sorkhei, Matsoukas, Fredin Haslum, Konuk, Smith: k-NN as a Simple and Effective Estimator of Transferability,
    TMLR 2025.
    """

    name: ClassVar[str] = "knn-labels"
    summary: ClassVar[str] = "similarity of the label embeddings of nearest neighbours"
    needs = "label embeddings"
    reads = "samples"
    paper: ClassVar[str] = "after Sorkhei et al., TMLR 2025, arXiv 2503.18528"
    cost: ClassVar[str] = "2 N^2 D1 + k N D2 K"

    def __init__(self, k: Count = 5, distance: Distance = "cosine") -> None:
        self.k, self.distance = k, distance

    def fit(self, X: Any, Z: Any, y: Any = None, groups: Any = None) -> Self:
        """Score features X (N, D1) against label embeddings.

        Z: (N, D2, K), label embeddings per sample from K encoders; or (U, D2, K), per label, with y (N,), the index of
        each sample's label. A Z with two dimensions is K = 1. groups: (N,), the group of each sample, if they have any.
        Raises EstimatorError for nan, wrong shapes, and fewer than k samples outside a sample's group.
        """
        X = as_numbers("features", X, "N", "D1").astype(np.float64)
        with np.errstate(over="ignore"):  # check_finite finds overflows
            check_finite(X, X.sum(axis=0))
        Z = Z if isinstance(Z, RowFile) else as_numbers("label embeddings", Z, "N" if y is None else "U", "D2", "K")
        labels = np.arange(len(Z)) if y is None else as_class_indices(y)
        if len(labels) != len(X) or (groups is not None and np.shape(groups) != (len(X),)):
            raise EstimatorError(f"{len(X)} rows of features, but {len(labels)} labels; there must be one per row")
        if len(labels) and (labels.min() < 0 or labels.max() >= len(Z)):
            raise EstimatorError(f"labels must be in 0 … {len(Z) - 1}, not in {labels.min()} … {labels.max()}")
        if groups is not None:
            groups = np.unique(groups, return_inverse=True)[1]
        self._check_neighbours(len(X), groups)
        similarity = _Similarity(Z, labels)
        X, squares = comparable(X, self.distance)
        total = 0.0
        for rows in row_blocks(len(X), len(X)):
            sample, neighbour = neighbours(X, squares, rows, self.k, groups)
            total += similarity.sum(labels[rows], sample, labels[neighbour])
        self.score_ = finite(self.name, total / len(X))
        return self

    def fit_source(self, source: Source) -> Self:
        """Score the features of a source."""
        return self.fit(source.features(), source.label_embeddings, source.label_index, source.groups)

    def _check_neighbours(self, count: int, groups: np.ndarray | None) -> None:
        others = count - (1 if groups is None else int(np.bincount(groups).max()))
        if self.k > others:
            raise EstimatorError(
                f"{count} samples have as few as {others} neighbours each, not k = {self.k}; use more samples, or a "
                f"smaller 'k' of estimator '{self.name}'"
            )


class _Similarity:
    """Cosine similarities of label embeddings Z (U, D2, K), centred by the mean over samples with these labels (N,)."""

    def __init__(self, Z: Rows, labels: np.ndarray) -> None:
        self._Z, self._mean = Z, np.zeros(Z.shape[1:])
        share = np.bincount(labels, minlength=len(Z)) / max(len(labels), 1)
        for rows in blocks(len(Z)):
            self._mean += np.tensordot(share[rows], Z[rows], axes=1)
        if not np.isfinite(self._mean).all():
            raise EstimatorError("label embeddings contain nan or infinity; use another label encoder")

    def sum(self, own: np.ndarray, sample: np.ndarray, neighbour: np.ndarray) -> float:
        """Return the sum over samples of the mean similarity to their neighbours.

        own: (B,), the labels of samples. sample, neighbour: pairs of a sample, 0 … B - 1, and a neighbour's label.
        """
        weights = 1 / np.bincount(sample, minlength=len(own))[sample]
        present, column = np.unique(neighbour, return_inverse=True)
        votes = csr_array((weights, (sample, column)), shape=(len(own), len(present)))
        nearby = np.zeros((len(own), self._mean.size))
        for part in blocks(len(present)):  # if many samples tie, all labels may be present
            nearby += votes[:, part] @ self._unit(present[part])
        return float((nearby * self._unit(own)).sum() / self._mean.shape[-1])

    def _unit(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of labels (B,) with length 1 for each encoder, (B, D2 K)."""
        Z = self._Z[labels] - self._mean
        lengths = np.sqrt(np.einsum("bdk,bdk->bk", Z, Z))[:, None]
        # A length that is a rounding error of the mean is zero.
        rounding = 1e-6 * np.abs(self._mean).max(axis=0) * np.sqrt(len(self._mean))
        return (Z / np.where(lengths > rounding, lengths, np.inf)).reshape(len(Z), -1)
