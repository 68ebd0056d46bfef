"""Moments of samples with a label vector each: captions, answers, regression targets."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any, ClassVar, Self

import numpy as np
from scipy.linalg.blas import dgemm

from emms.errors import EstimatorError
from emms.moments.base import EPSILON, LabelProducts, Moments, blocks
from emms.moments.checks import as_numbers, check_finite
from emms.moments.projection import ColumnSpace
from emms.moments.tensors import by_rows, on_gpu, sums


class TargetMoments(Moments):
    """Moments of N samples with D1 features and K label embeddings of dimension D2 each.

    Regression targets are label embeddings with K = 1.
    """

    kind: ClassVar[str] = "target"

    def __init__(self, n_features: int, n_columns: int, n_encoders: int = 1) -> None:
        super().__init__(n_features)
        self.target_mean = np.zeros((n_encoders, n_columns))
        """Mean of the label embeddings, (K, D2)."""
        self.target_scatter = np.zeros((n_encoders, n_encoders, n_columns))
        """Per column, sums of products of two encoders' centred embeddings, (K, K, D2)."""
        self._cross = np.zeros((n_features, n_encoders * n_columns), order="F")

    def update(self, X: Any, Z: Any) -> Self:
        """Add a batch: X (B, D1) features, Z (B, D2, K) their label embeddings; (B, D2) is K = 1.

        Raises EstimatorError for nan, infinity and wrong shapes.
        """
        K, D2 = self.target_mean.shape
        Z = as_numbers("label embeddings", Z, "samples", D2, K)
        if on_gpu(X):
            if by_rows(self.update, X, Z):
                return self
            part = type(self)(X.shape[-1], D2, K)
            if not np.isfinite(Z).all():
                raise EstimatorError("label embeddings contain nan or infinity; use another label encoder")
            part.count, part.target_mean = len(Z), Z.mean(axis=0, dtype=np.float64).T
            centred = np.swapaxes(Z, 1, 2) - part.target_mean
            part.mean, part._scatter, part._cross = sums(X, centred.reshape(len(Z), -1))
            part.target_scatter = np.einsum("njd,nkd->jkd", centred, centred)
            return self._add(part)
        X = as_numbers("features", X, "samples", self.n_features)
        if len(X) != len(Z):
            raise EstimatorError(f"{len(X)} rows of features, but {len(Z)} label embeddings; there must be one per row")
        self._clear_cache()
        for rows, buffer in blocks(len(X), self.n_features + K * D2):
            # BLAS needs each block to be contiguous, and reads a C-ordered one as its transpose.
            size = len(buffer) - 1
            flat = buffer.reshape(-1)
            block = flat[: (size + 1) * self.n_features].reshape(size + 1, self.n_features)
            targets = flat[block.size :].reshape(size + 1, K, D2)
            block[:-1], targets[:-1] = X[rows], np.swapaxes(Z[rows], 1, 2)
            total, target_total = block[:-1].sum(axis=0), targets[:-1].sum(axis=0)
            check_finite(X[rows], total)
            if not np.isfinite(target_total).all():
                raise EstimatorError("label embeddings contain nan or infinity; use another label encoder")
            shift = target_total / size - self.target_mean
            targets[:-1] -= target_total / size
            targets[-1] = self._absorb(block, total) * shift
            self.target_mean = self.target_mean + shift * (size / self.count)
            for j, k in combinations_with_replacement(range(K), 2):
                self.target_scatter[j, k] += np.einsum("bd,bd->d", targets[:, j], targets[:, k])
                self.target_scatter[k, j] = self.target_scatter[j, k]
            products = targets.reshape(size + 1, -1).T
            self._cross = dgemm(1.0, block.T, products, beta=1.0, c=self._cross, trans_b=1, overwrite_c=1)
        return self

    def label_products(
        self, label_embeddings: np.ndarray | None = None, space: ColumnSpace | None = None
    ) -> LabelProducts:
        """Return the inner products of the samples' label embeddings."""
        self._check_none(label_embeddings)
        scale = self._scale()
        total = np.einsum("jkd,jd,kd->jk", self.target_scatter, scale, scale)
        half = (space or self.space).half(self._cross)
        half *= scale.ravel()
        half = half.ravel("K").reshape(len(scale), -1)  # one row per encoder; no copy, since columns are contiguous
        return LabelProducts(total, half @ half.T, scale.shape[1])

    def label_variances(self, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return the largest variance of each encoder's standardised columns, (K,): 1 unless they hardly vary."""
        self._check_none(label_embeddings)
        return (np.einsum("kkd->kd", self.target_scatter) * self._scale() ** 2).max(axis=1) / max(self.count, 1)

    def cross(self, weights: np.ndarray, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return (X - mean)' sum_k t_k Z_k, (D1, D2), for `weights` t (K,) and standardised label embeddings."""
        self._check_none(label_embeddings)
        scale = self._scale()
        cross = self._cross.reshape(-1, *scale.shape)
        return np.einsum("xkd,k,kd->xd", cross, weights, scale)

    def held_out(
        self, space: ColumnSpace, part: Self, weights: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Return the residual and total sums of squares of a regression on other samples; see `Moments.held_out`."""
        coefficients = space.solve(self.cross(weights, label_embeddings))
        mixing = weights[:, None] * self._scale()  # (K, D2)
        x, z = part.mean - self.mean, part.target_mean - self.target_mean
        cross = np.einsum("xkd,kd->xd", part._cross.reshape(len(x), *mixing.shape), mixing)
        cross += part.count * np.outer(x, (mixing * z).sum(axis=0))
        squares = np.einsum("jkd,jd,kd->", part.target_scatter, mixing, mixing)
        squares = float(squares + part.count * ((mixing * z).sum(axis=0) ** 2).sum())
        return self._residual(part, coefficients, cross, squares), squares

    def raw_labels(
        self, basis: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return basis' X'Z, (r, D2, K), and the columns' sums of squares, (D2, K), without centring."""
        self._check_none(label_embeddings)
        K, D2 = self.target_mean.shape
        centred = (basis.T @ self._cross).reshape(-1, K, D2)
        projected = centred + self.count * (basis.T @ self.mean)[:, None, None] * self.target_mean
        squares = np.einsum("kkd->dk", self.target_scatter) + self.count * self.target_mean.T**2
        return np.swapaxes(projected, 1, 2), squares

    def standardised(self, label_embeddings: np.ndarray) -> np.ndarray:
        """Return label embeddings (B, D2, K) standardised over these samples, all encoders concatenated, (B, K D2)."""
        scaled = (np.swapaxes(label_embeddings, 1, 2) - self.target_mean) * self._scale()
        return scaled.reshape(len(scaled), -1)

    def crosses(self) -> np.ndarray:
        """Return (X - mean)'Z for standardised label embeddings, all encoders concatenated, (D1, K D2)."""
        return self._cross * self._scale().ravel()

    def _scale(self) -> np.ndarray:
        """Return the inverse standard deviation of each column, (K, D2)."""
        return 1 / (np.sqrt(np.einsum("kkd->kd", self.target_scatter) / max(self.count, 1)) + EPSILON)

    def _check_none(self, label_embeddings: np.ndarray | None) -> None:
        if label_embeddings is not None:
            raise EstimatorError("these moments already contain one label embedding per sample; give no others")

    def _combined(self, other: Self, sign: int) -> Self:
        result = super()._combined(other, sign)
        if result.count == 0:
            return type(self)(**self._shape())
        between = sign * self.count * other.count / result.count
        x, z = other.mean - self.mean, other.target_mean - self.target_mean
        result.target_mean = self.target_mean + sign * other.count / result.count * z
        products = z[:, None] * z[None]
        result.target_scatter = self.target_scatter + sign * other.target_scatter + between * products
        result._cross = np.asfortranarray(self._cross + sign * other._cross + between * np.outer(x, z))
        return result

    def _shape(self) -> dict[str, int]:
        K, D2 = self.target_mean.shape
        return {"n_features": self.n_features, "n_columns": D2, "n_encoders": K}

    def _columns(self) -> dict[str, np.ndarray]:
        return {"cross": self._cross}

    def _small_arrays(self) -> dict[str, np.ndarray]:
        return {"target_mean": self.target_mean, "target_scatter": self.target_scatter}

    def _restore(self, columns: dict[str, np.ndarray], small: dict[str, np.ndarray]) -> None:
        self._cross = np.array(columns["cross"], order="F")
        self.target_mean = small["target_mean"].reshape(self.target_mean.shape)
        self.target_scatter = small["target_scatter"].reshape(self.target_scatter.shape).copy()
