"""Stratified subsampling of datasets with more samples than the run's `limit`."""

from __future__ import annotations

import numpy as np

from emms.errors import DatasetError


def stratified(labels: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of a random subsample with the same share of each class.

    `labels` is (N,), integer; the result is (min(limit, N),). Class sizes are rounded by the largest remainder method;
    each class keeps at least one sample.
    Raises DatasetError if `limit` is below the number of classes.
    """
    if limit >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    if limit < len(classes):
        raise DatasetError(f"limit {limit} is below the number of classes, {len(classes)}; raise it to at least that")
    sizes = _apportion(counts, limit)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), size, replace=False)
        for label, size in zip(classes, sizes, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _apportion(counts: np.ndarray, limit: int) -> np.ndarray:
    """Return class sizes (C,) with sum `limit`, in proportion to `counts` (C,) and at least 1, by largest remainder."""
    sizes = np.ones_like(counts)
    # A class whose share is below 1 gets 1, which lowers the share of the others, so repeat.
    large = np.ones(len(counts), dtype=bool)
    while True:
        free, total = limit - int((~large).sum()), int(counts[large].sum())
        small = large & (counts * free < total)
        if not small.any():
            break
        large &= ~small
    quota = counts[large] * free
    rounded, remainder = quota // total, quota % total
    left = free - int(rounded.sum())
    rounded[np.argsort(-remainder, kind="stable")[:left]] += 1
    sizes[large] = rounded
    return sizes
