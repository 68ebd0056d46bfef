"""TransRate: reduction of the coding rate of the features by the classes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from scipy.linalg.lapack import dpotrf

from emms.estimators.base import SampleEstimator
from emms.estimators.samples import in_row_space, varying
from emms.estimators.settings import Positive

Weights = Literal["equal", "share"]
Scale = Literal["none", "trace"]
_EXACT = 1e-11
"""Maximum relative rounding error of a rate, since scores are small differences of rates."""


class TransRate(SampleEstimator):
    """R(Z) - sum_c w_c R(Z_c): the coding rate of all features, minus the mean rate of those of a class.

    X (N, D1) are features, y (N,) class labels; Z is X minus its mean over all samples, Z_c its n_c rows of class c,
    and R(Z) = log det(I + Z'Z / (n eps)) / 2 for a Z of n rows, in nats. Z_c is not centred again.

    eps: squared distortion of the coding, in squared units of the features.
    weights: `equal` (w_c = 1 / C, as in the authors' code and the release of EMMS) or `share` (w_c = n_c / N, the
    conditional coding rate, as in the text of the paper).
    scale: `none` (as in the release of EMMS; features of larger scale have higher scores), or `trace`: Z is divided by
    the square root of tr(Z'Z), so that the score does not depend on the scale.

    Huang, Huang, Rong, Yang, Wei: Frustratingly Easy Transferability Estimation, ICML 2022.
    """

    name: ClassVar[str] = "transrate"
    rewards_width = True
    summary: ClassVar[str] = "reduction of the coding rate of the features when the class is known"
    paper: ClassVar[str] = "Huang et al., ICML 2022, arXiv 2106.09362"
    cost: ClassVar[str] = "N D1^2 + D1^3 / 3 + sum_c min(n_c, D1)^2 max(n_c, D1)"

    def __init__(self, eps: Positive = 1e-4, weights: Weights = "equal", scale: Scale = "none") -> None:
        self.eps = eps
        self.weights = weights
        self.scale = scale

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        Z = in_row_space(varying(X))
        if self.scale == "trace":
            Z /= np.sqrt(np.vdot(Z, Z))
        counts = np.bincount(y, minlength=n_classes)
        by_class = np.split(Z[np.argsort(y, kind="stable")], np.cumsum(counts)[:-1])
        rates = np.array([self._rate(Z_c) for Z_c in by_class])
        return self._rate(Z) - (rates.mean() if self.weights == "equal" else counts @ rates / len(y))

    def _rate(self, Z: np.ndarray) -> float:
        # Z'Z and ZZ' have the same eigenvalues except for zeros, which add nothing.
        Z = Z / np.sqrt(len(Z) * self.eps)
        if len(Z) < Z.shape[1]:
            Z = Z.T
        products = Z.T @ Z
        products.flat[:: len(products) + 1] += 1
        largest = np.abs(products).sum(axis=0).max()  # a bound on the largest eigenvalue
        factor, failed_at = dpotrf(products)
        if not failed_at:
            pivots = np.diag(factor)
            rate = float(np.log(pivots).sum())
            if np.finfo(float).eps * largest * np.sqrt((pivots**-4).sum()) <= _EXACT * rate:
                return rate
        # Large, dependent features: the identity is lost to rounding in Z'Z, but not in the QR decomposition of Z.
        triangle = np.linalg.qr(np.vstack([Z, np.eye(Z.shape[1])]), mode="r")
        return float(np.log(np.abs(np.diag(triangle))).sum())
