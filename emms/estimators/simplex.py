"""Minimise quadratic forms over the probability simplex: EMMS with the network's weights eliminated."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls


def project(v: np.ndarray) -> np.ndarray:
    """Return the point of the simplex nearest to v (K,): "sparsemax" (Martins and Astudillo, ICML 2016)."""
    descending = np.sort(v)[::-1]
    excess = np.cumsum(descending) - 1
    size = np.arange(1, len(v) + 1)
    support = np.count_nonzero(descending * size > excess)
    return np.maximum(v - excess[support - 1] / support, 0)


def minimise(A: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Return the t (K,) in the simplex that minimises t'At; A (K, K) is symmetric and positive semidefinite.

    If no eigenvalue exceeds `noise`, t is uniform.

    With A = B'B, the u >= 0 that minimises ||Bu||^2 + (1'u - 1)^2 is a multiple of t. This is a non-negative least
    squares problem, which an active-set method (Lawson and Hanson, 1974) solves exactly.
    """
    values, vectors = np.linalg.eigh(A)
    largest = values[-1]
    if largest <= noise:
        return np.full(len(A), 1 / len(A))
    B = np.sqrt(np.maximum(values / largest, 0))[:, None] * vectors.T
    u, _ = nnls(np.vstack([B, np.ones(len(A))]), np.append(np.zeros(len(A)), 1.0))
    return u / u.sum()


def descend(Q: np.ndarray, R: np.ndarray, tolerance: float, max_iter: int) -> tuple[np.ndarray, list[float]]:
    """Minimise t'(Q - R)t by alternating steps from the uniform t; return t and the objective at each iterate.

    Each iteration updates the network's weights (implicitly, through R) by least squares, then makes one projected
    gradient step for t. Stops when the objective is within `tolerance` of the minimum, by the duality gap of a convex
    function on the simplex, or after `max_iter` iterations.
    """
    K = len(Q)
    t = np.full(K, 1 / K)
    # The step size depends on the curvature within the plane of sum one, which is small if encoders are similar.
    plane = np.eye(K) - 1 / K
    curvature = np.linalg.eigvalsh(plane @ Q @ plane)[-1]
    path = [t @ (Q - R) @ t]
    for _ in range(max_iter):
        gradient = Q @ t - R @ t  # of ||X w - Z t||^2 / 2, at the best w for t
        if 2 * (gradient @ t - gradient.min()) <= tolerance or curvature <= 0:
            break
        # The mean of the gradient is orthogonal to the plane, and would cost precision in the sum of t.
        t = project(t - (gradient - gradient.mean()) / curvature)
        path.append(t @ (Q - R) @ t)
    return t, path
