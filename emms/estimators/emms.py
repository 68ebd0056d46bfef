"""EMMS: how well features explain the best mixture of several foundation models' label embeddings."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import LabelEmbeddingEstimator, UnreliableScoreWarning, moments_of, warn_if_interpolating
from emms.estimators.simplex import descend, minimise, project
from emms.moments import Moments
from emms.moments.base import EPSILON

Solver = Literal["exact", "alternating", "released"]
_ROUNDING = 1e-13
"""A residual below this part of the labels is rounding; candidates that explain everything must tie, not be ordered
by it."""


class EMMS(LabelEmbeddingEstimator):
    """Minus the least ||X w - sum_k t_k Z_k||^2 over w (D1, D2) and t in the simplex; X and Z_k standardised.

    Q_jk = <Z_j, Z_k> and R_jk, the part of it that the features explain, are all that is left of the data once w is at
    its best: the objective is t'(Q - R)t.

    solver: `exact` (the minimum itself), `alternating` (the paper's Algorithm 1, to a tolerance) or `released` (one
    pass of Algorithm 2 as its authors released it). With the first two, `score_` is -objective / (N D2), in [-1, 0];
    with `released` it is -objective / N * D2, as they scale it.
    tolerance, max_iter: `alternating` ends within `tolerance` of the minimum, in units of the score, or after
    `max_iter` iterations.

    Meng, Shao, Peng, Jiang, Zhang, Qiao, Luo: Foundation Model is Efficient Multimodal Multitask Model Selector,
    NeurIPS 2023, arXiv 2308.06262.
    """

    name: ClassVar[str] = "emms"
    summary: ClassVar[str] = "how well the features explain the best mixture of label embeddings"
    paper: ClassVar[str] = "Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "D1^3 / 3 + C D1^2"

    weights_: np.ndarray
    """t, (K,), the weight of each label encoder."""
    objective_: float
    """||X w - Z t||^2 at the solution, a sum over N samples and D2 columns."""
    objectives_: np.ndarray
    """The objective at each iterate, the first before the first iteration; never increases with `alternating`."""
    n_iter_: int
    """Iterations taken."""
    moments_: Moments
    """The moments that were fitted."""

    def __init__(self, solver: Solver = "exact", tolerance: float = 1e-8, max_iter: int = 100_000) -> None:
        if solver not in get_args(Solver):
            raise EstimatorError(f"estimator 'emms' has no solver '{solver}'; it has: {', '.join(get_args(Solver))}")
        if not tolerance > 0:
            raise EstimatorError(f"estimator 'emms': tolerance must be positive, not {tolerance}")
        if not max_iter >= 1:
            raise EstimatorError(f"estimator 'emms': max_iter must be at least 1, not {max_iter}")
        self.solver, self.tolerance, self.max_iter = solver, tolerance, max_iter

    def partial_fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Take in a batch beside the earlier ones and score them all; arguments as for `fit`.

        Each call solves anew, O(D1^3); to take in many small batches, update moments and call `fit_moments` once.
        """
        moments, label_embeddings = moments_of(X, Z, y)
        if hasattr(self, "moments_"):
            moments = self.moments_ + moments
        return self.fit_moments(moments, label_embeddings)

    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from moments; label_embeddings (C, D2, K), one a class, or None if the moments hold them.

        Warns with UnreliableScoreWarning when N <= D1 + 1, or when `max_iter` iterations were too few.
        Raises EstimatorError for fewer than two samples.
        """
        if moments.count < 2:
            raise EstimatorError(f"EMMS needs two samples or more, not {moments.count}")
        warn_if_interpolating(moments)
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

    @property
    def coef_(self) -> np.ndarray:
        """The network's weights w, (D1, D2), for standardised features; solved for when asked.

        Features that are combinations of others have weight zero.
        """
        cross = self.moments_.cross(self._network_weights, self._label_embeddings)
        return self.moments_.space.solve(cross) * (self.moments_.std + EPSILON)[:, None]

    def _solve_released(self, Q: np.ndarray, R: np.ndarray) -> None:
        uniform = np.full(len(Q), 1 / len(Q))
        self._network_weights = uniform
        # Least squares of X w on the Z_k, in their products; equal encoders share their weight.
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


def _without_rounding(objective: float, scale: float) -> float:
    return 0.0 if objective <= _ROUNDING * scale else float(objective)
