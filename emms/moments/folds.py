"""Folds for cross-validation, from which moments are taken one by one."""

from __future__ import annotations

import numpy as np


def deal(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each sample, (N,), from its label (N,).

    Samples of one label are dealt out in random order, so that each label is spread over the folds as evenly as can
    be, and the folds are of even size.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[order] = np.arange(len(labels)) % folds
    return dealt
