"""LDA: probability that a regularised linear discriminant assigns to the right class."""

from __future__ import annotations

import warnings
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve, eigvalsh
from scipy.special import softmax

from emms.errors import EstimatorError
from emms.estimators.base import SampleEstimator, UnreliableScoreWarning
from emms.estimators.samples import class_means, in_row_space, varying
from emms.moments.projection import CONSTANT

LEAST_SHRINKAGE = 1e-10
"""The minimum shrinkage of SFDA's authors, with which a singular covariance can still be inverted in float64."""
Shrinkage = Annotated[float, Field(ge=LEAST_SHRINKAGE, le=1, allow_inf_nan=False)]
_CERTAIN = 1e-9  # networks whose mean posterior is this close to one cannot be compared


class Discriminant(NamedTuple):
    """A regularised linear discriminant, evaluated on its training samples.

    posteriors: (N, C), p(c | x). means: (C, D), of the classes. shrinkage: of the covariance.
    """

    posteriors: np.ndarray
    means: np.ndarray
    shrinkage: float


class LDA(SampleEstimator):
    """Mean over the samples of p(y_n | x_n), the probability that a linear discriminant assigns to the right class.

    X (N, D1) are features, y (N,) class labels. Each class c is a Gaussian with its own mean m_c, its share of the
    samples as prior q_c, and the common covariance S = (1 - s) S_w + s tr(S_w) / D1 I, with S_w the covariance
    within classes. p(c | x) is the softmax over c of x'S^-1 m_c - m_c'S^-1 m_c / 2 + log q_c. The discriminant is
    evaluated on its training samples: `score_` is in (0, 1].

    This is the classification score of ETran and the first step of SFDA, called Reg-FDA there. Their projection on the
    Fisher directions U, with U'SU = I, is not needed since they keep all of them, so that UU' = S^-1. (The release of
    ETran solves for U with a routine for symmetric matrices, although S^-1 S_b is not symmetric, and returns other
    numbers.)

    shrinkage: s, from 1e-10 to 1; None is SFDA's s = max(exp(-5 l), 1e-10), with l the largest eigenvalue of S_w,
    which depends on the scale of the features. With a number, the score does not depend on the scale.

    Gholami, Akbari, Wang, Kamranian, Zhang: ETran: Energy-Based Transferability Estimation, ICCV 2023; Shao et al.: Not
    All Models Are Equal, ECCV 2022 (the regularisation).
    """

    name: ClassVar[str] = "lda"
    rewards_width = True
    summary: ClassVar[str] = "probability that a regularised linear discriminant assigns to the right class"
    paper: ClassVar[str] = "Gholami et al., ICCV 2023, arXiv 2308.02027; Shao et al., ECCV 2022, arXiv 2207.03036"
    cost: ClassVar[str] = "N D1^2 + D1^3 / 3 + 2 N C D1"

    shrinkage_: float
    """The shrinkage s that was used."""

    def __init__(self, shrinkage: Shrinkage | None = None) -> None:
        self.shrinkage = shrinkage

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        fitted = discriminant(in_row_space(varying(X)), y, n_classes, X.shape[1], self.shrinkage)
        self.shrinkage_ = fitted.shrinkage
        score = fitted.posteriors[np.arange(len(y)), y].mean()
        warn_if_certain(self.name, score, X)
        return score


def discriminant(
    X: np.ndarray, y: np.ndarray, n_classes: int, n_features: int, shrinkage: float | None
) -> Discriminant:
    """Fit the discriminant of `LDA` to X (N, D) and y (N,).

    X may be coordinates in a subspace of the space of the `n_features` features, to which the shrinkage refers.
    Raises EstimatorError if nothing varies within the classes.
    """
    counts = np.bincount(y, minlength=n_classes)
    means = class_means(X, y, counts)
    deviations = X - means[y]
    within = deviations.T @ deviations
    within /= len(X)
    trace = float(np.trace(within))
    check_varies_within(trace, float(np.vdot(X, X)) / len(X))
    if shrinkage is None:
        # The diagonal is a lower bound of the largest eigenvalue, which mostly suffices to know that s is the minimum.
        largest = np.diag(within).max()
        if np.exp(-5 * largest) > LEAST_SHRINKAGE:
            largest = eigvalsh(within, subset_by_index=[len(within) - 1, len(within) - 1])[0]
        shrinkage = max(float(np.exp(-5 * largest)), LEAST_SHRINKAGE)
    within *= 1 - shrinkage
    within.flat[:: len(within) + 1] += shrinkage * trace / n_features
    weights = cho_solve(cho_factor(within, overwrite_a=True, check_finite=False), means.T)
    logits = X @ weights
    logits += np.log(counts / len(X)) - np.einsum("cd,dc->c", means, weights) / 2
    return Discriminant(softmax(logits, axis=1), means, shrinkage)


def check_varies_within(within: float, total: float) -> None:
    """Raise EstimatorError if the variance `within` classes is only rounding, compared to the `total` variance."""
    if within <= CONSTANT**2 * total:
        raise EstimatorError(
            "within each class, the features of all samples are the same, so the variance within classes is zero; "
            "use two samples or more of each class, and no duplicates"
        )


def warn_if_certain(name: str, score: float, X: np.ndarray) -> None:
    """Warn if a mean posterior is one up to rounding, so that networks would be tied."""
    if 1 - score < _CERTAIN:
        warnings.warn(
            f"{len(X)} samples with {X.shape[1]} features each: '{name}' assigns probability 1 to the right class of "
            f"every sample, as for any network that separates the classes; to tell such networks apart, use more "
            f"samples, or a larger shrinkage",
            UnreliableScoreWarning,
            stacklevel=4,
        )
