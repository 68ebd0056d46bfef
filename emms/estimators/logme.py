"""LogME: the log evidence of a Bayesian linear model of the labels, per sample."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import ClassMomentEstimator, LabelEmbeddingEstimator, checked_classes, finite
from emms.moments import Moments

Formula = Literal["evidence", "released"]

_ROUNDING = 1e-12
"""A residual of less than this fraction of a label column's square is rounding."""
_MAX_ITER = 11
_TOLERANCE = 1e-3
_EPSILON = 1e-5
"""Maximum number of iterations, relative change of alpha / beta at which they stop, and number added to the norms in
the denominators of alpha and beta. These are the authors' values; the score depends on them, since the iteration stops
before the fixed point."""


def evidence(moments: Moments, projected: np.ndarray, squares: np.ndarray, formula: Formula = "evidence") -> np.ndarray:
    """Return the maximum log evidence per sample of each of m label columns y, (m,).

    projected: (D1, m), V'X'y with V the moments' eigenvectors. squares: (m,), y'y. The model is y = X w + noise,
    w ~ N(0, 1 / alpha), noise ~ N(0, 1 / beta); alpha and beta maximise the evidence, found by MacKay's fixed-point
    iteration (You et al., 2022), all columns at once. Nothing is centred.
    formula: if D1 > N, `released` counts log alpha D1 times but the determinant that cancels it over only N
    singular values, as in the authors' release, so that wide noise has a high score. Otherwise both agree.
    Raises EstimatorError if all features are zero.
    """
    N, D = moments.count, moments.n_features
    # In directions without a singular value, log alpha of the prior and of the determinant cancel.
    priors = D if formula == "released" else min(N, D)
    values = moments.eigen[0]
    if values[-1] <= 0:
        raise EstimatorError("all features are zero, so the evidence is undefined; leave the network out")
    largest = slice(max(D - N, 0), None)
    signal = values[largest] > values[-1] * D * np.finfo(float).eps
    sigma = np.where(signal, values[largest], 0)
    # Squares of y's coordinates along the left singular vectors, (m, min(N, D1)): one row per column of labels.
    z2 = np.ascontiguousarray(projected[largest].T)
    z2 *= z2
    z2 *= np.where(signal, 1 / np.where(signal, sigma, 1), 0)
    outside = squares - z2.sum(axis=1)
    outside[outside < _ROUNDING * squares] = 0

    result = np.empty(len(squares))
    active, ratio = np.arange(len(squares)), np.ones(len(squares))
    for iteration in range(_MAX_ITER):
        shrunk = 1 / (sigma + ratio[:, None])
        gamma = shrunk @ sigma
        shrunk *= shrunk
        shrunk *= z2
        squared_weights = shrunk @ sigma
        residual = ratio**2 * shrunk.sum(axis=1) + outside
        alpha, beta = gamma / (squared_weights + _EPSILON), (N - gamma) / (residual + _EPSILON)
        done = np.abs(alpha / beta - ratio) <= _TOLERANCE * ratio
        if iteration == _MAX_ITER - 1:
            done[:] = True
        a, b = alpha[done], beta[done]
        logdet = np.log(a[:, None] + b[:, None] * sigma).sum(axis=1)
        fit = b * residual[done] + a * squared_weights[done]
        result[active[done]] = (priors * np.log(a) + N * np.log(b) - logdet - fit - N * np.log(2 * np.pi)) / (2 * N)
        if done.all():
            break
        active, ratio, z2, outside = active[~done], (alpha / beta)[~done], z2[~done], outside[~done]
    return result


class LogME(ClassMomentEstimator):
    """Mean over the classes of the maximum log evidence, per sample, of a Bayesian linear model of "is this class".

    formula: `evidence` (correct for all shapes) or `released` (the authors' code, which differs if D1 > N).

    You, Liu, Wang, Long: LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021; You, Liu,
    Zhang, Wang, Jordan, Long: Ranking and Tuning Pre-trained Models, JMLR 2022 (the fixed-point iteration).
    """

    name: ClassVar[str] = "logme"
    summary: ClassVar[str] = "evidence of the class labels under a Bayesian linear model of the features"
    paper: ClassVar[str] = "You et al., ICML 2021, arXiv 2102.11005; JMLR 2022, arXiv 2110.10545"
    cost: ClassVar[str] = "9 D1^3 + 11 C D1"
    version = 2

    scores_: np.ndarray
    """The evidence of each class that has samples."""

    def __init__(self, formula: Formula = "evidence") -> None:
        self.formula = formula

    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from class moments; label embeddings are ignored.

        Raises EstimatorError if the moments have no class labels, or fewer than two classes.
        """
        counts, sums = checked_classes(self, moments)
        self.scores_ = evidence(moments, moments.eigen[1].T @ sums.T, counts, self.formula)
        self.score_ = finite(self.name, self.scores_.mean())
        return self


class LogMEFLabel(LabelEmbeddingEstimator):
    """Mean over label encoders, and the columns of their embeddings, of the maximum log evidence per sample.

    Real-valued targets y (N, T) can be passed as the label embeddings of one encoder, which is LogME for regression.
    Called "LogME + F-Label" by Meng et al., NeurIPS 2023; the evidence and the setting `formula` are those of `LogME`.
    """

    name: ClassVar[str] = "logme-f-label"
    summary: ClassVar[str] = "evidence of the label embeddings under a Bayesian linear model of the features"
    paper: ClassVar[str] = "You et al., ICML 2021, arXiv 2102.11005; Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "9 D1^3 + 11 D1 D2 K + C D1 D2 K"
    version = 2

    scores_: np.ndarray
    """The score of each label encoder, (K,)."""

    def __init__(self, formula: Formula = "evidence") -> None:
        self.formula = formula

    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from moments; label_embeddings (C, D2, K), one per class, or None if the moments contain them.

        Raises EstimatorError if there are fewer than two samples or the shapes differ.
        """
        if moments.count < 2:
            raise EstimatorError(f"LogME needs two samples or more, not {moments.count}")
        projected, squares = moments.raw_labels(moments.eigen[1], label_embeddings)
        self.scores_ = np.array(
            [evidence(moments, projected[:, :, k], squares[:, k], self.formula).mean() for k in range(squares.shape[1])]
        )
        self.score_ = finite(self.name, self.scores_.mean())
        return self
