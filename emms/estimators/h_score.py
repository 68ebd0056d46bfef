"""H-score: variance of the features between classes relative to their covariance; plain and regularised."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from emms.errors import EstimatorError
from emms.estimators.base import ClassMomentEstimator, SampleEstimator, checked_classes, warn_if_interpolating
from emms.estimators.samples import bounded, class_means, in_row_space, varying
from emms.moments import Moments

_ROUNDING = 1e-12  # of sums of squares of covariances whose trace is 1


class HScore(ClassMomentEstimator):
    """tr(cov(f)^+ cov(E[f | y])): the variance between classes in units of the features' total covariance.

    X (N, D1) are features f, y (N,) class labels. It is the sum of the squared canonical correlations of features and
    classes: from 0 to C - 1, invariant under invertible linear maps of the features.

    Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas: An Information-Theoretic Approach to Transferability in Task Transfer
    Learning, ICIP 2019.
    """

    name: ClassVar[str] = "h-score"
    rewards_width = True
    summary: ClassVar[str] = "variance of the class means in units of the features' covariance"
    paper: ClassVar[str] = "Bao et al., ICIP 2019, arXiv 2212.10082"
    cost: ClassVar[str] = "D1^3 / 3 + C D1^2"

    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from class moments; label embeddings are ignored.

        Warns with UnreliableScoreWarning if N <= D1 + 1, where every network has about the maximum score, C - 1.
        Raises EstimatorError if the moments have no class labels, or fewer than two classes.
        """
        counts, sums = checked_classes(self, moments)
        warn_if_interpolating(moments)
        counts = counts[:, None]
        between = (sums - counts * moments.mean) / np.sqrt(counts)
        half = moments.space.half(between.T)
        self.score_ = float(np.vdot(half, half))
        return self


class RegularisedHScore(SampleEstimator):
    """(1 - a) tr(S^-1 cov(E[f | y])): the H-score with a shrunk covariance S = (1 - a) cov(f) + a m I.

    X (N, D1) are features f, y (N,) class labels; m = tr(cov(f)) / D1, and a is the shrinkage of Ledoit and Wolf, which
    minimises the expected distance to the true covariance. As in the authors' release, cov(f) divides by N and
    cov(E[f | y]) by N - 1. The score does not depend on the scale of the features.

    Ibrahim, Ponomareva, Mazumder: Newer is Not Always Better: Rethinking Transferability Metrics, Their Peculiarities,
    Stability and Performance, ECML PKDD 2022; Ledoit, Wolf: A Well-Conditioned Estimator for Large-Dimensional
    Covariance Matrices, Journal of Multivariate Analysis 2004.
    """

    name: ClassVar[str] = "h-score-regularised"
    summary: ClassVar[str] = "H-score with a covariance shrunk by Ledoit and Wolf's rule"
    paper: ClassVar[str] = "Ibrahim et al., ECML PKDD 2022, arXiv 2110.06893"
    cost: ClassVar[str] = "N D1^2 + D1^3 / 3 + C D1^2"

    shrinkage_: float
    """a, the weight of the identity in the covariance, in [0, 1]."""

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        n_features = X.shape[1]
        X = bounded(in_row_space(varying(X)))
        X /= np.sqrt(np.vdot(X, X) / len(X))  # so that the trace is 1
        covariance = X.T @ X
        covariance /= len(X)
        self.shrinkage_ = shrinkage = _ledoit_wolf(X, covariance, n_features)
        counts = np.bincount(y, minlength=n_classes)
        between = np.sqrt(counts / (len(X) - 1))[:, None] * class_means(X, y, counts)
        covariance *= 1 - shrinkage
        covariance.flat[:: len(covariance) + 1] += shrinkage / n_features
        weighted = cho_solve(cho_factor(covariance, overwrite_a=True, check_finite=False), between.T)
        return (1 - shrinkage) * float(np.vdot(between.T, weighted))


def _ledoit_wolf(X: np.ndarray, covariance: np.ndarray, n_features: int) -> float:
    """Return the shrinkage of the covariance, with trace 1, of centred samples X (N, D).

    Raises EstimatorError if it is zero and the covariance is singular.
    """
    # The fourth-order sum over pairs of features reduces to one over samples: sum_ij x_i^2 x_j^2 = |x|^4.
    fourth = np.mean(np.einsum("nd,nd->n", X, X) ** 2)
    square = float(np.vdot(covariance, covariance))
    noise, distance = (fourth - square) / len(X), square - 1 / n_features
    if distance <= _ROUNDING:
        return 0.0  # the covariance is already a multiple of the identity
    if noise <= _ROUNDING:
        raise EstimatorError(
            "the shrinkage by Ledoit and Wolf's rule is zero, as with two samples, and the covariance is singular; "
            "use more samples, or 'h-score'"
        )
    return float(min(noise / distance, 1))
