"""GBC: overlap of the classes when each is a Gaussian."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from emms.estimators.base import SampleEstimator
from emms.estimators.lda import check_varies_within
from emms.estimators.samples import bounded, class_means, in_row_space, varying
from emms.estimators.settings import Count, Positive
from emms.moments.projection import DEPENDENT

Covariance = Literal["spherical", "diagonal"]


class GBC(SampleEstimator):
    """-sum_{i != j} exp(-D_ij): minus the overlap (Bhattacharyya coefficient) of all ordered pairs of classes.

    X (N, D1) are features, y (N,) class labels. The features are reduced to d principal components, and each class c is
    a Gaussian with its mean m_c and variances v_c (d,) there. With v = (v_i + v_j) / 2,
    D_ij = sum (m_i - m_j)^2 / v / 8 + sum log(v / sqrt(v_i v_j)) / 2, both sums over the d components.
    `score_` is in [-C (C - 1), 0] and does not depend on the scale of the features.

    covariance: `spherical` (one variance per class, the mean over components) or `diagonal` (one per component).
    n_components: d; fewer if the features have fewer dimensions.
    floor: minimum variance of a class along a component, in units of the mean variance per component of all samples;
    it is the variance of a class with one sample. (The authors' release uses 1e-4 in units of the features instead, and
    counts the logarithm of the spherical form once, not d times.)

    Pándy, Agostinelli, Uijlings, Ferrari, Mensink: Transferability Estimation using Bhattacharyya Class Separability,
    CVPR 2022.
    """

    name: ClassVar[str] = "gbc"
    summary: ClassVar[str] = "how little Gaussians fitted to the classes overlap"
    paper: ClassVar[str] = "Pándy et al., CVPR 2022, arXiv 2111.12780"
    cost: ClassVar[str] = "N D1^2 + 9 D1^3 + 64 C^2"

    def __init__(self, covariance: Covariance = "spherical", n_components: Count = 64, floor: Positive = 1e-4) -> None:
        self.covariance = covariance
        self.n_components = n_components
        self.floor = floor

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        X = self._components(in_row_space(bounded(varying(X))))
        counts = np.bincount(y, minlength=n_classes)
        means = class_means(X, y, counts)
        squares = (X - means[y]) ** 2
        total = np.vdot(X, X) / X.size
        check_varies_within(squares.mean(), total)
        variances = np.maximum(class_means(squares, y, counts), self.floor * total)
        if self.covariance == "spherical":
            variances[:] = variances.mean(axis=1, keepdims=True)
        overlap = 0.0
        for i in range(n_classes - 1):  # one class at a time, since C x C x d numbers may not fit into memory
            v_i, v_j = variances[i], variances[i + 1 :]
            v = (v_i + v_j) / 2
            distance = (means[i] - means[i + 1 :]) ** 2 / v / 8 + np.log(v / np.sqrt(v_i * v_j)) / 2
            overlap += 2 * np.exp(-distance.sum(axis=1)).sum()
        return 0.0 - overlap

    def _components(self, X: np.ndarray) -> np.ndarray:
        """Return the first `n_components` principal components along which X varies."""
        from sklearn.decomposition import PCA  # takes a second to import

        pca = PCA(min(self.n_components, X.shape[1]), svd_solver="covariance_eigh")
        components = pca.fit_transform(X)
        return components[:, pca.explained_variance_ > DEPENDENT * pca.explained_variance_[0]]
