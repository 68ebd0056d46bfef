"""SFDA: a regularised Fisher discriminant, fitted again after samples were moved towards other classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import softmax

from emms.estimators.base import SampleEstimator
from emms.estimators.lda import Shrinkage, discriminant, warn_if_certain
from emms.estimators.samples import in_row_space, varying


class SFDA(SampleEstimator):
    """Mean over the samples of p(y_n | x'_n): probability of the right class after samples were made harder.

    X (N, D1) are features, y (N,) class labels. There are two steps:
    - Reg-FDA: posteriors p(c | x_n) of a linear discriminant with a shrunk covariance within classes, as in `LDA`.
    - ConfMix: with f_n the softmax over c of p(c | x_n), at c = y_n, and o_c the mean of the other classes' means,
      x'_n = f_n x_n + (1 - f_n) o_{y_n}. Samples with lower probability move further away from their class.
    A discriminant with the shrinkage of the first is fitted to the x'_n, and `score_`, in (0, 1], is the mean
    probability that it assigns to the right class. (The paper uses the logarithm; the authors' release does not, for
    stability.) The softmax is over classes, as in the paper; the release of EMMS normalises over samples by mistake.

    shrinkage: from 1e-10 to 1; None is the paper's max(exp(-5 l), 1e-10), with l the largest eigenvalue of the
    covariance within classes, which depends on the scale of the features (its release approximates l by three power
    iterations). With a number, the score does not depend on the scale.

    Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo: Not All Models Are Equal: Predicting Model Transferability in a
    Self-challenging Fisher Space, ECCV 2022.
    """

    name: ClassVar[str] = "sfda"
    rewards_width = True
    summary: ClassVar[str] = "probability that a discriminant assigns to the right class after samples are made harder"
    paper: ClassVar[str] = "Shao et al., ECCV 2022, arXiv 2207.03036"
    cost: ClassVar[str] = "2 N D1^2 + 2 D1^3 / 3 + 4 N C D1"

    shrinkage_: float
    """The shrinkage that was used."""

    def __init__(self, shrinkage: Shrinkage | None = None) -> None:
        self.shrinkage = shrinkage

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        own = np.arange(len(y)), y
        features = in_row_space(varying(X))
        first = discriminant(features, y, n_classes, X.shape[1], self.shrinkage)
        confidence = softmax(first.posteriors, axis=1)[own][:, None]
        others = (first.means.sum(axis=0) - first.means) / (n_classes - 1)
        features *= confidence
        features += (1 - confidence) * others[y]
        second = discriminant(features, y, n_classes, X.shape[1], first.shrinkage)
        self.shrinkage_ = first.shrinkage
        score = second.posteriors[own].mean()
        warn_if_certain(self.name, score, X)
        return score
