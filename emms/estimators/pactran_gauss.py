"""PACTran-Gauss: a PAC-Bayesian bound on the loss of a linear classifier of the features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import svd
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from emms.estimators.base import SampleEstimator
from emms.estimators.samples import centred
from emms.estimators.settings import Positive
from emms.estimators.threads import one_pool

_MAX_ITER = 1000
_TOLERANCE = 1e-7
"""Maximum number of iterations of L-BFGS, and relative decrease of the loss at which it stops, before Newton steps."""
_NEWTON_STEPS = 200
_HALVINGS = 20
_FLAT = 1e-9
"""Maximum number of Newton steps, of halvings of a step until the gradient decreases, and the largest component of a
gradient that counts as zero, in units of the loss. A criterion on losses, which are exact to 1e-16, would leave errors
of 1e-8 and more in the probabilities."""


class PACTranGauss(SampleEstimator):
    """Minus the PAC-Bayesian bound of a linear classifier with Gaussian weights: larger is better.

    For features X (N, D1), centred, and labels y (N,), L* is the least regularised cross entropy of a linear softmax
    classifier,
        L* = min_{w, b} mean_n -log p(y_n | x_n; w, b) + |w|^2 / (2 r N),
    stored as `optimum_`. With h_n = sum_c p(c | x_n) (1 - p(c | x_n)) at the minimum, and the curvature
    T = sum_n (1 + |x_n|^2) h_n + C D1 / (r N), where the penalty, as in the authors' code, is not multiplied by N as
    the sum over samples is, the score is
        -(L* + s C / (2 r N) log(T r N / (C D1))).
    The authors' value is minus this score, so that smaller is better. They stop L-BFGS after 100 iterations from a
    random start; here the unique minimum of the convex loss is found, so the score is not random.

    strength: r, the authors' lambda times the prior's variance, divided by N: 0.1, 1 or 10 in the paper.
    variance: s, D1 times the prior's variance: 100 or 10 with r = 1 in the paper.
    Not scale-free: a prior of fixed variance favours features of a large scale.

    Ding, Chen, Levinboim, Changpinyo, Soricut: PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
    Pretrained Models to Classification Tasks, ECCV 2022.
    """

    name: ClassVar[str] = "pactran-gauss"
    rewards_width = True
    summary: ClassVar[str] = "bound on the loss of a linear classifier of the features, Gaussian prior"
    paper: ClassVar[str] = "Ding et al., ECCV 2022, arXiv 2203.05126"
    cost: ClassVar[str] = "2 N D1^2 + 9 D1^3 + 400 N C D1"
    version = 2

    optimum_: float
    """L*, the minimum of the regularised cross entropy: smaller is better."""

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
    """Return the features rotated to their principal axes, (N, min(N, D1)), for which the minimum loss is the same."""
    if len(X) < X.shape[1]:
        U, sigma, _ = svd(X, full_matrices=False, check_finite=False)
        return U * sigma
    return X @ np.linalg.eigh(X.T @ X)[1]


def _least_loss(X: np.ndarray, y: np.ndarray, n_classes: int, ridge: float) -> tuple[float, np.ndarray]:
    """Return the minimum of mean cross entropy + ridge / 2 |w|^2, and the probabilities (N, C) at the minimum."""
    loss = _Loss(X, y, n_classes, ridge)
    options = {"maxiter": _MAX_ITER, "maxfun": 2 * _MAX_ITER, "ftol": _TOLERANCE, "gtol": 0.0}
    with one_pool(X.size * n_classes):
        theta = minimize(loss, loss.start, jac=True, method="L-BFGS-B", options=options).x
        theta = _with_flat_gradient(loss, theta)
    p, _ = loss.probabilities(theta)
    return loss(theta)[0], p


def _with_flat_gradient(loss: _Loss, theta: np.ndarray) -> np.ndarray:
    """Return the minimum near theta, by Newton's method with conjugate gradients."""
    value, gradient = loss(theta)
    for _ in range(_NEWTON_STEPS):
        if np.abs(gradient).max() <= _FLAT * value:
            break
        hessian, preconditioner = loss.curvature(theta)
        step, _ = cg(hessian, -gradient, rtol=1e-2, maxiter=_MAX_ITER, M=preconditioner)
        steepness = np.linalg.norm(gradient)
        for _ in range(_HALVINGS):
            value, gradient = loss(theta + step)
            if np.linalg.norm(gradient) < steepness:
                break
            step /= 2
        else:
            break
        theta = theta + step
    return theta


class _Loss:
    """Mean cross entropy of softmax(X w + b) + ridge / 2 |w|^2, as a function of theta: w (D, C) and b (C,).

    Along principal axes divided by the square root of the curvature at w = 0, all directions have about the same
    curvature, so that a few dozen iterations suffice instead of hundreds. w is in units of these square roots.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, n_classes: int, ridge: float) -> None:
        share = np.bincount(y, minlength=n_classes) / len(X)
        curvature = (share * (1 - share)).mean() * (X * X).mean(axis=0) + ridge
        self.X, self.y, self.n_classes = X / np.sqrt(curvature), y, n_classes
        self.penalty = (ridge / curvature)[:, None]
        self.start = np.concatenate([np.zeros(X.shape[1] * n_classes), np.log(share)])  # the best b where w = 0

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient."""
        p, entropy = self.probabilities(theta)
        p[np.arange(len(p)), self.y] -= 1
        w, _ = self._split(theta)
        return entropy + 0.5 * float((self.penalty * w * w).sum()), self._derivative(p, w)

    def curvature(self, theta: np.ndarray) -> tuple[LinearOperator, LinearOperator]:
        """Return the matrix of second derivatives, and its inverse diagonal as a preconditioner."""
        p, _ = self.probabilities(theta)

        def product(direction: np.ndarray) -> np.ndarray:
            w, b = self._split(direction)
            change = p * (self.X @ w + b)
            change -= p * change.sum(axis=1, keepdims=True)
            return self._derivative(change, w)

        own = p * (1 - p) / len(p)
        diagonal = np.concatenate([((self.X**2).T @ own + self.penalty).ravel(), own.sum(axis=0)])
        inverse = 1 / np.where(diagonal > 0, diagonal, 1)
        size = len(theta), len(theta)
        return (
            LinearOperator(size, matvec=product, dtype=np.float64),
            LinearOperator(size, matvec=lambda direction: inverse * direction, dtype=np.float64),
        )

    def probabilities(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the probabilities (N, C) of the classes, and the mean cross entropy."""
        w, b = self._split(theta)
        logits = self.X @ w
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[np.arange(len(logits)), self.y]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        logits /= total[:, None]
        return logits, float((np.log(total) - right).mean())

    def _split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return theta[: -self.n_classes].reshape(-1, self.n_classes), theta[-self.n_classes :]

    def _derivative(self, by_logits: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the derivatives by theta, given those of N times the cross entropy by the logits (N, C)."""
        by_logits /= len(by_logits)
        return np.concatenate([(self.X.T @ by_logits + self.penalty * w).ravel(), by_logits.sum(axis=0)])
