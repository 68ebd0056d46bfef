"""PACTran-Gauss: a PAC-Bayesian bound on the loss of a linear classifier of the features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import svd
from scipy.optimize import minimize

from emms.estimators.base import SampleEstimator
from emms.estimators.samples import centred
from emms.estimators.settings import Positive
from emms.estimators.threads import one_pool

_MAX_ITER = 1000
_TOLERANCE = 1e-9
"""Iterations allowed, and the relative fall of the loss that ends them. A thousand are more than are ever needed."""


class PACTranGauss(SampleEstimator):
    """Minus the PAC-Bayesian bound of a linear classifier with Gaussian weights: larger is better.

    For features X (N, D1), centred, and labels y (N,), L* is the least regularised cross entropy of a linear softmax
    classifier,
        L* = min_{w, b} mean_n -log p(y_n | x_n; w, b) + |w|^2 / (2 r N),
    kept as `optimum_`. With h_n = sum_c p(c | x_n) (1 - p(c | x_n)) there, and the curvature
    T = sum_n (1 + |x_n|^2) h_n + C D1 / (r N), where like the authors' code the penalty is not scaled by N as the sum
    over samples is, the score is
        -(L* + s C / (2 r N) log(T r N / (C D1))).
    The authors' value is minus this, and smaller is better there. They stop L-BFGS after 100 iterations from a random
    start; here the one minimum of the convex loss is found, so nothing is random.

    strength: r, the authors' lambda times the prior's variance, over N: 0.1, 1 or 10 in the paper.
    variance: s, D1 times the prior's variance: the authors take 100 or 10 with r = 1.
    Not scale-free: a prior of fixed variance favours features of a large scale.

    Ding, Chen, Levinboim, Changpinyo, Soricut: PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
    Pretrained Models to Classification Tasks, ECCV 2022.
    """

    name: ClassVar[str] = "pactran-gauss"
    rewards_width = True
    summary: ClassVar[str] = "bound on the loss of a linear classifier of the features, Gaussian prior"
    paper: ClassVar[str] = "Ding et al., ECCV 2022, arXiv 2203.05126"
    cost: ClassVar[str] = "2 N D1^2 + 9 D1^3 + 400 N C D1"

    optimum_: float
    """L*, the least regularised cross entropy: smaller is better."""

    def __init__(self, strength: Positive = 1.0, variance: Positive = 100.0) -> None:
        self.strength, self.variance = strength, variance

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        ridge = 1 / (self.strength * len(X))
        X = centred(X)
        squares = np.einsum("nd,nd->n", X, X)
        self.optimum_, p = _least_loss(_rotated(X), y, n_classes, ridge)
        # The trace needs only |x|^2, so it is the same for the rotated features.
        curvature = (p * (1 - p)).sum(axis=1)
        parameters = n_classes * X.shape[1]
        trace = (1 + squares) @ curvature + parameters * ridge
        return -(self.optimum_ + self.variance * n_classes * ridge / 2 * np.log(trace / (parameters * ridge)))


def _rotated(X: np.ndarray) -> np.ndarray:
    """Return the features along their principal axes, (N, min(N, D1)): the loss has the same least value there."""
    if len(X) < X.shape[1]:
        U, sigma, _ = svd(X, full_matrices=False, check_finite=False)
        return U * sigma
    return X @ np.linalg.eigh(X.T @ X)[1]


def _least_loss(X: np.ndarray, y: np.ndarray, n_classes: int, ridge: float) -> tuple[float, np.ndarray]:
    """Return the least of mean cross entropy + ridge / 2 |w|^2, and the probabilities (N, C) there."""
    N, D = X.shape
    share = np.bincount(y, minlength=n_classes) / N
    # Along principal axes, divided by the square root of the curvature at w = 0, all directions are about as steep:
    # a few dozen iterations do where plain features take hundreds.
    curvature = (share * (1 - share)).mean() * (X * X).mean(axis=0) + ridge
    X = X / np.sqrt(curvature)
    penalty = (ridge / curvature)[:, None]
    samples = np.arange(N)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = theta[: D * n_classes].reshape(D, n_classes), theta[D * n_classes :]
        error, entropy = probabilities(w, b)
        error[samples, y] -= 1
        error /= N
        gradient = X.T @ error + penalty * w
        return entropy + 0.5 * (penalty * w * w).sum(), np.concatenate([gradient.ravel(), error.sum(axis=0)])

    def probabilities(w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
        logits = X @ w
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[samples, y]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        logits /= total[:, None]
        return logits, float((np.log(total) - right).mean())

    start = np.concatenate([np.zeros(D * n_classes), np.log(share)])  # with w = 0 this b is the best
    options = {"maxiter": _MAX_ITER, "maxfun": 2 * _MAX_ITER, "ftol": _TOLERANCE, "gtol": 0.0}
    with one_pool(X.size * n_classes):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    w, b = found.x[: D * n_classes].reshape(D, n_classes), found.x[D * n_classes :]
    return float(found.fun), probabilities(w, b)[0]
