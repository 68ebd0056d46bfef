"""Shared data for tests of estimators."""

import numpy as np


def class_problem(N=150, D1=12, D2=6, K=3, C=5, noise=1.0, seed=0):
    """Return float32 features that depend on the classes, embeddings of the classes, and class indices."""
    rng = np.random.default_rng(seed)
    Z, y = rng.standard_normal((C, D2, K)), rng.integers(C, size=N)
    X = Z[y][:, :, 0] @ rng.standard_normal((D2, D1)) + noise * rng.standard_normal((N, D1)) + 3
    return X.astype(np.float32), Z, y
