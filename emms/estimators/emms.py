"""EMMS: how well features explain the best mixture of several foundation models' label embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, Literal, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import (
    LEAST_VARIANCE,
    LabelEmbeddingEstimator,
    UnreliableScoreWarning,
    check_labels_vary,
    finite,
    moments_of,
    warn_if_interpolating,
)
from emms.estimators.settings import Count, Folds, NonNegative, Positive
from emms.estimators.simplex import descend, minimise, project
from emms.moments import Moments
from emms.moments.base import EPSILON
from emms.moments.checks import as_class_indices, as_numbers
from emms.moments.folds import assign_folds
from emms.moments.tensors import on_gpu

Solver = Literal["exact", "alternating", "released"]
_ROUNDING = 1e-13
"""A residual below this fraction of the labels is rounding and counts as 0, so that candidates that explain everything
tie."""


class EMMS(LabelEmbeddingEstimator):
    """Minus the least ||X w - sum_k t_k Z_k||^2 over w (D1, D2) and t in the simplex; X and Z_k standardised.

    With the best w for t, the objective is t'(Q - R)t, where Q_jk = <Z_j, Z_k> and R_jk is the part of it that the
    features explain.

    solver: `exact` (the minimum itself), `alternating` (the paper's Algorithm 1, to a tolerance) or `released` (one
    pass of Algorithm 2 as its authors released it). With the first two, `score_` is -objective / (N D2), in [-1, 0];
    with `released` it is -objective / N * D2, as they scale it.
    validation: number of folds, or 0 for none. With folds, `score_` is the explained variance (R^2) of held-out label
    embeddings by a ridge regression on the other folds: at most 1, and negative for features worse than none. The
    penalty is D1, on standardised features: a prior by which signal and noise have the same variance for any number of
    features, without tuning. The weights t minimise the penalised objective on the training samples. Everything is
    computed from the moments of the folds; those of the training samples are the total minus the fold's.
    tolerance, max_iter: `alternating` stops within `tolerance` of the minimum, in units of the score, or after
    `max_iter` iterations.

    Meng, Shao, Peng, Jiang, Zhang, Qiao, Luo: Foundation Model is Efficient Multimodal Multitask Model Selector,
    NeurIPS 2023, arXiv 2308.06262.
    """

    name: ClassVar[str] = "emms"
    summary: ClassVar[str] = "how well the features explain the best mixture of label embeddings"
    paper: ClassVar[str] = "Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "D1^3 / 3 + C D1^2"
    version = 2

    weights_: np.ndarray
    """t, (K,), the weights of the label encoders."""
    objective_: float
    """||X w - Z t||^2 at the solution, a sum over N samples and D2 columns."""
    objectives_: np.ndarray
    """The objective at the start and after each iteration; never increases with `alternating`."""
    n_iter_: int
    """Number of iterations."""
    moments_: Moments
    """The moments of all samples."""

    def __init__(
        self,
        solver: Solver = "exact",
        tolerance: Positive = 1e-8,
        max_iter: Count = 100_000,
        validation: NonNegative = 0,
    ) -> None:
        if validation == 1:
            raise EstimatorError(f"estimator '{self.name}': setting 'validation' should be 0, or 2 or more, not 1")
        if validation and solver != "exact":
            raise EstimatorError(
                f"estimator '{self.name}': with 'validation', setting 'solver' should be 'exact', not '{solver}'"
            )
        self.solver, self.tolerance, self.max_iter, self.validation = solver, tolerance, max_iter, validation

    @property
    def rewards_width(self) -> bool:  # type: ignore[override]
        """Whether the score is that of the training samples."""
        return not self.validation

    @property
    def folds(self) -> int:  # type: ignore[override]
        """Number of folds whose moments it needs."""
        return self.validation or 1

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features against label embeddings; see `LabelEmbeddingEstimator.fit` for the arguments.

        With `validation`, folds are stratified by class and random with a fixed seed.
        """
        if not self.validation:
            return super().fit(X, Z, y)
        X, by_class = X if on_gpu(X) else as_numbers("features", X, "N", "D1"), y is not None
        labels = as_class_indices(y) if by_class else as_numbers("label embeddings", Z, "N", "D2", "K")
        if len(X) != len(labels):
            raise EstimatorError(f"{len(X)} rows of features, but {len(labels)} labels; there must be one per sample")
        fold_of = assign_folds(labels if by_class else np.arange(len(X)), self.validation, seed=0)
        masks = [fold_of == fold for fold in range(self.validation)]
        parts = [moments_of(X[m], Z, labels[m]) if by_class else moments_of(X[m], labels[m]) for m in masks]
        return self.fit_folds([moments for moments, _ in parts], parts[0][1])

    def partial_fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Add a batch to the previous ones and score all of them; arguments as for `fit`.

        Each call solves again, O(D1^3); for many small batches, update moments and call `fit_moments` once.
        """
        if self.validation:
            raise EstimatorError(
                "with validation, EMMS cannot be fitted batch by batch; update moments per fold and call fit_folds"
            )
        moments, label_embeddings = moments_of(X, Z, y)
        if hasattr(self, "moments_"):
            moments = self.moments_ + moments
        return self.fit_moments(moments, label_embeddings)

    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from moments; label_embeddings (C, D2, K), one per class, or None if the moments contain them.

        Warns with UnreliableScoreWarning if N <= D1 + 1, or if `max_iter` iterations were too few.
        Raises EstimatorError for fewer than two samples.
        """
        if self.validation:
            raise EstimatorError("with validation, EMMS needs the moments of each fold; call fit_folds, or fit")
        if moments.count < 2:
            raise EstimatorError(f"EMMS needs two samples or more, not {moments.count}")
        warn_if_interpolating(moments)
        check_labels_vary(moments, label_embeddings)
        products = moments.label_products(label_embeddings)
        Q, R, scale = products.total, products.explained, moments.count * products.columns
        self.moments_, self._label_embeddings = moments, label_embeddings
        if self.solver == "released":
            self._solve_released(Q, R)
            self.objective_ = _without_rounding(self.objective_, scale)
            self.score_ = 0.0 - self.objective_ / moments.count * products.columns
            return self
        if self.solver == "exact":
            self.weights_ = minimise(Q - R, noise=_ROUNDING * scale)
            self.objectives_ = np.array([self.weights_ @ (Q - R) @ self.weights_])
            self.n_iter_ = 1
        else:
            self._solve_alternating(Q, R, self.tolerance * scale)
        self.objective_ = _without_rounding(min(self.objectives_[-1], scale), scale)
        self.score_ = 0.0 - self.objective_ / scale
        self._network_weights = self.weights_
        return self

    def fit_folds(self, folds: Sequence[Moments], label_embeddings: np.ndarray | None = None) -> Self:
        """Score by cross-validation from the moments of each fold; label_embeddings as for `fit_moments`.

        Raises EstimatorError if a fold is empty, or if its labels do not vary.
        """
        if not self.validation:
            raise EstimatorError("without validation, EMMS needs the sum of all moments; call fit_moments")
        if len(folds) < 2 or min(fold.count for fold in folds) < 1:
            counts = ", ".join(str(fold.count) for fold in folds)
            raise EstimatorError(f"cross-validation needs two folds or more with samples in each, not {counts}")
        total = reduce(add, folds)
        check_labels_vary(total, label_embeddings)
        penalties = total.unit_penalties()
        held_out, weights = [], []
        for fold in folds:
            training = total - fold
            if not (training.label_variances(label_embeddings) > LEAST_VARIANCE).all():
                raise EstimatorError(
                    "without one of the folds the labels hardly vary; use more samples of each class, or fewer folds"
                )
            space = training.shrunk_space(penalties)
            products = training.label_products(label_embeddings, space)
            t = minimise(products.total - products.explained)
            held_out.append(training.held_out(space, fold, t, label_embeddings))
            weights.append(t)
        residuals, totals = np.array(held_out).T
        if totals.min() <= 0:
            raise EstimatorError("the labels of a fold do not vary; use more samples, or fewer folds")
        self.moments_, self._label_embeddings, self.n_iter_ = total, label_embeddings, len(folds)
        self.weights_ = self._network_weights = np.mean(weights, axis=0)
        self.objective_, self.objectives_ = float(residuals.sum()), residuals
        self.fold_scores_ = 1 - residuals / totals
        self.score_ = finite(self.name, 1 - residuals.sum() / totals.sum())
        return self

    @property
    def coef_(self) -> np.ndarray:
        """The weights w, (D1, D2), for standardised features; computed on access.

        Features that are combinations of others have weight zero. With `validation`, they are fitted to all samples.
        """
        cross = self.moments_.cross(self._network_weights, self._label_embeddings)
        space = self.moments_.shrunk_space(self.moments_.unit_penalties()) if self.validation else self.moments_.space
        return space.solve(cross) * (self.moments_.std + EPSILON)[:, None]

    def _solve_released(self, Q: np.ndarray, R: np.ndarray) -> None:
        uniform = np.full(len(Q), 1 / len(Q))
        self._network_weights = uniform
        # Least squares of X w on the Z_k, from inner products; equal encoders share their weight.
        self.weights_ = t = project(np.linalg.lstsq(Q, R @ uniform, rcond=1e-12)[0])
        self.objective_ = float(uniform @ R @ uniform - 2 * t @ R @ uniform + t @ Q @ t)
        self.objectives_, self.n_iter_ = np.array([self.objective_]), 1

    def _solve_alternating(self, Q: np.ndarray, R: np.ndarray, tolerance: float) -> None:
        self.weights_, path = descend(Q, R, tolerance, self.max_iter)
        self.objectives_, self.n_iter_ = np.array(path), len(path) - 1
        if self.n_iter_ == self.max_iter:
            warnings.warn(
                f"EMMS(solver='alternating') has not reached its tolerance in {self.max_iter} iterations; "
                f"use solver='exact', which needs none",
                UnreliableScoreWarning,
                stacklevel=3,
            )


class EMMSCV(EMMS):
    """Cross-validated EMMS: `EMMS(validation=5)` as an estimator with its own name."""

    name = "emms-cv"
    summary = "explained variance of held-out label embeddings by a ridge regression on the features"
    paper = "after Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "5 (D1^3 / 3 + 4 C D1^2)"

    def __init__(self, validation: Folds = 5) -> None:
        super().__init__(validation=validation)


def _without_rounding(objective: float, scale: float) -> float:
    return 0.0 if objective <= _ROUNDING * scale else float(objective)
