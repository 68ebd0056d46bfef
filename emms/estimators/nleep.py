"""NLEEP: LEEP with the components of a Gaussian mixture instead of source classes."""

from __future__ import annotations

import warnings
from typing import ClassVar, Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from emms.errors import EstimatorError
from emms.estimators.base import SampleEstimator
from emms.estimators.leep import leep
from emms.estimators.samples import axis_signs, bounded, canonical_order, centred
from emms.estimators.settings import Count, Seed, Share

Covariance = Literal["diag", "full"]
_JUST_BELOW = 1 - 1e-9
"""Factor for the share of the variance, so that rounding does not add a component if the share is met exactly."""
_JITTER = 1e-9
"""Noise, in units of the largest standard deviation and the same for all networks, which decides between components
equally near to a sample (as for integer features), so that rounding does not."""


class NLEEP(SampleEstimator):
    """LEEP of the posteriors p(v | x) of a Gaussian mixture: mean_n log sum_v P(y_n | v) p(v | x_n), at most 0.

    The mixture has `components_per_class` * C components and is fitted, without labels, to the principal components
    with the share `energy` of the variance of features X (N, D1). P(y | v) is the empirical conditional
    probability of labels y (N,), as in LEEP.

    covariance: `diag` (along the principal axes) or `full`, of each component. The released implementations use `full`,
    which has more parameters than X has numbers if a component has fewer samples than principal components, and whose
    time and memory are quadratic in the number of the latter.
    seed: of the initialisation (modulo 2^32), on which the score depends slightly. For one seed, the score does not
    depend on the order of the samples, the names of the classes, or the scale of X: the principal components are
    divided by the largest of their standard deviations. Expectation maximisation has at most 100 iterations.

    Li, Jia, Sang, Zhu, Green, Wang, Gong: Ranking Neural Checkpoints, CVPR 2021.
    """

    name: ClassVar[str] = "nleep"
    summary: ClassVar[str] = "likelihood of the labels given clusters of the features"
    paper: ClassVar[str] = "Li et al., CVPR 2021, arXiv 2011.11200"
    cost: ClassVar[str] = "2 N D1^2 + 9 D1^3 + 3000 N C d; d principal components, d^2 for d if covariance is full"

    def __init__(
        self, components_per_class: Count = 5, energy: Share = 0.8, covariance: Covariance = "diag", seed: Seed = 0
    ) -> None:
        self.components_per_class = components_per_class
        self.energy = energy
        self.covariance = covariance
        self.seed = seed

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        components = self.components_per_class * n_classes
        if components > len(X):
            raise EstimatorError(
                f"a mixture of {components} components needs as many samples, not {len(X)}; use more samples, or "
                f"lower 'components_per_class' of estimator '{self.name}' from {self.components_per_class}"
            )
        X = centred(bounded(X))
        order = canonical_order(X)
        X, y = X[order], y[order]
        if not X.any():  # all samples are equal, so all components are
            return leep(np.ones((len(y), 1)), y, n_classes)
        return leep(self._posteriors(self._principal(X), components), y, n_classes)

    def _principal(self, X: np.ndarray) -> np.ndarray:
        # The features are centred, so their covariance loses no precision; it is cheaper if N > D1.
        solver = "covariance_eigh" if len(X) > X.shape[1] else "full"
        share = _JUST_BELOW * self.energy if self.energy < 1 else None
        pca = PCA(share, svd_solver=solver)
        scores = pca.fit_transform(X) * axis_signs(pca.components_)
        scores /= scores[:, 0].std()
        return scores + _JITTER * np.random.default_rng(0).standard_normal(scores.shape)

    def _posteriors(self, scores: np.ndarray, components: int) -> np.ndarray:
        mixture = GaussianMixture(components, covariance_type=self.covariance, random_state=self.seed % 2**32)
        with warnings.catch_warnings():
            # The score is valid with too few iterations, and with fewer distinct samples than components.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.fit(scores).predict_proba(scores)
