"""Moments of samples that share class labels: cross products follow from one sum of features per class."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from emms.errors import EstimatorError
from emms.moments.base import EPSILON, LabelProducts, Moments, blocks
from emms.moments.checks import as_class_indices, as_numbers, check_finite
from emms.moments.projection import ColumnSpace
from emms.moments.tensors import by_rows, on_gpu, sums


class ClassMoments(Moments):
    """Moments of N samples with D1 features and one of C class labels each.

    For label embeddings E (C, D2, K) of the classes, X'Z is M'E, with M (C, D1) the class sums; so the moments do not
    depend on label encoders, and the (N, D2, K) tensor of the samples' label embeddings is never built.
    """

    kind: ClassVar[str] = "class"

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features)
        self.class_counts = np.zeros(n_classes)
        """Number of samples of each class, (C,)."""
        self.class_sums = np.zeros((n_classes, n_features))
        """Sum of the features of each class, (C, D1), not centred."""

    @property
    def n_classes(self) -> int:
        """C, the number of classes, including those without samples."""
        return len(self.class_counts)

    def update(self, X: Any, y: Any) -> Self:
        """Add a batch: X (B, D1) features, y (B,) class indices from 0 to C - 1.

        Raises EstimatorError for nan, infinity, wrong shapes, and labels out of range.
        """
        y = self._checked_classes(y)
        if on_gpu(X):
            if by_rows(self.update, X, y):
                return self
            part = type(self)(X.shape[-1], self.n_classes)
            part.mean, part._scatter, cross = sums(X, np.eye(self.n_classes)[y])
            part.count, part.class_sums = len(y), cross.T
            part.class_counts = np.bincount(y, minlength=self.n_classes).astype(np.float64)
            return self._add(part)
        X = as_numbers("features", X, "samples", self.n_features)
        if len(X) != len(y):
            raise EstimatorError(f"{len(X)} rows of features, but {len(y)} class labels; there must be one per row")
        self._clear_cache()
        for rows, block in blocks(len(X), self.n_features):
            block[:-1] = X[rows]
            present, position = np.unique(y[rows], return_inverse=True)
            members = csr_array((np.ones(len(position)), (position, np.arange(len(position)))))
            of_classes = members @ block[:-1]
            check_finite(X[rows], of_classes)
            self.class_sums[present] += of_classes
            self.class_counts[present] += members.sum(axis=1)
            self._absorb(block, of_classes.sum(axis=0))
        return self

    def label_products(
        self, label_embeddings: np.ndarray | None = None, space: ColumnSpace | None = None
    ) -> LabelProducts:
        """Return the inner products of the classes' label embeddings (C, D2, K); (C, D2) is K = 1."""
        space = space or self.space
        E = self.standardised(label_embeddings)
        _, columns, K = E.shape
        weighted = (np.sqrt(self.class_counts)[:, None, None] * E).reshape(-1, K)
        if self.n_classes <= self.n_features:
            # Only the C x C matrix M G^+ M' is needed.
            half = space.half(self.centred_sums().T)
            images = ((half.T @ half) @ E.reshape(self.n_classes, -1)).reshape(-1, K)
            explained = E.reshape(-1, K).T @ images
        else:
            half = space.half(self.centred_sums().T @ E.reshape(self.n_classes, -1)).reshape(-1, K)
            explained = half.T @ half
        return LabelProducts(weighted.T @ weighted, (explained + explained.T) / 2, columns)

    def label_variances(self, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return the largest variance of each encoder's standardised columns, (K,): 1 unless they hardly vary."""
        share = self.class_counts / max(self.count, 1)
        return np.tensordot(share, self.standardised(label_embeddings) ** 2, axes=1).max(axis=0)

    def cross(self, weights: np.ndarray, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return (X - mean)' sum_k t_k Z_k, (D1, D2), for `weights` t (K,) and standardised label embeddings."""
        E = self.standardised(label_embeddings)
        return self.centred_sums().T @ (E @ weights)

    def held_out(
        self, space: ColumnSpace, part: Self, weights: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Return the residual and total sums of squares of a regression on other samples; see `Moments.held_out`."""
        labels = self.standardised(label_embeddings) @ weights
        if labels.shape[1] > len(labels):  # C columns are enough to have the same inner products
            labels = np.linalg.qr(labels.T).R.T
        coefficients = space.solve(self.centred_sums().T @ labels)
        cross = (part.class_sums - part.class_counts[:, None] * self.mean).T @ labels
        squares = float(part.class_counts @ (labels**2).sum(axis=1))
        return self._residual(part, coefficients, cross, squares), squares

    def raw_labels(
        self, basis: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return basis' X'Z, (r, D2, K), and the columns' sums of squares, (D2, K), without centring."""
        E = self._checked_embeddings(label_embeddings)
        projected = (self.class_sums @ basis).T @ E.reshape(self.n_classes, -1)
        return projected.reshape(-1, *E.shape[1:]), np.tensordot(self.class_counts, E**2, axes=1)

    def standardised(self, label_embeddings: np.ndarray | None) -> np.ndarray:
        """Return the classes' label embeddings (C, D2, K), columns standardised over the samples.

        Raises EstimatorError if they are missing, contain nan, or are not one per class.
        """
        E = self._checked_embeddings(label_embeddings)
        share = self.class_counts / max(self.count, 1)
        E = E - np.tensordot(share, E, axes=1)
        std = np.sqrt(np.tensordot(share, E**2, axes=1))
        return E / (std + EPSILON)

    def centred_sums(self) -> np.ndarray:
        """Return the sums, per class, of the features centred by the mean of all samples, (C, D1)."""
        return self.class_sums - self.class_counts[:, None] * self.mean

    def _checked_classes(self, y: Any) -> np.ndarray:
        y = as_class_indices(y)
        if len(y) and (y.min() < 0 or y.max() >= self.n_classes):
            raise EstimatorError(f"class labels must be in 0 … {self.n_classes - 1}, not in {y.min()} … {y.max()}")
        return y

    def _checked_embeddings(self, label_embeddings: np.ndarray | None) -> np.ndarray:
        if label_embeddings is None:
            raise EstimatorError("label embeddings are needed, one row per class; name label encoders in the spec")
        E = as_numbers("label embeddings", label_embeddings, self.n_classes, "D2", "K").astype(np.float64)
        if not np.isfinite(E).all():
            raise EstimatorError("label embeddings contain nan or infinity; use another label encoder")
        return E

    def _combined(self, other: Self, sign: int) -> Self:
        result = super()._combined(other, sign)
        result.class_counts = self.class_counts + sign * other.class_counts
        if (result.class_counts < 0).any():
            raise self._not_a_subset()
        result.class_sums = self.class_sums + sign * other.class_sums
        return result

    def _shape(self) -> dict[str, int]:
        return {"n_features": self.n_features, "n_classes": self.n_classes}

    def _columns(self) -> dict[str, np.ndarray]:
        return {"class_sums": self.class_sums.T}

    def _small_arrays(self) -> dict[str, np.ndarray]:
        return {"class_counts": self.class_counts}

    def _restore(self, columns: dict[str, np.ndarray], small: dict[str, np.ndarray]) -> None:
        self.class_sums = np.array(columns["class_sums"].T, order="C")
        self.class_counts = small["class_counts"].copy()
