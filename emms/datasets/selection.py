"""Stratified subsampling, for datasets with more samples than the run's `limit`."""

from __future__ import annotations

import numpy as np

from emms.errors import DatasetError


def stratified(labels: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of a random subsample in which each class keeps its share of the samples.

    `labels` is (N,), integer; the result is (min(limit, N),). Sizes are rounded by the largest remainder method, and
    each class keeps at least one sample.
    Raises DatasetError if `limit` is below the number of classes.
    """
    if limit >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    if limit < len(classes):
        raise DatasetError(f"limit {limit} is below the number of classes, {len(classes)}; raise it to at least that")
    seats = _apportion(counts, limit)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), size, replace=False)
        for label, size in zip(classes, seats, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _apportion(counts: np.ndarray, limit: int) -> np.ndarray:
    """Share `limit` seats in proportion to `counts`, (C,): at least one each, the rest by largest remainder."""
    seats = np.ones_like(counts)
    # A class whose share is below one seat gets one; that lowers the share of the others, so repeat.
    large = np.ones(len(counts), dtype=bool)
    while True:
        free, total = limit - int((~large).sum()), int(counts[large].sum())
        small = large & (counts * free < total)
        if not small.any():
            break
        large &= ~small
    quota = counts[large] * free
    whole, remainder = quota // total, quota % total
    left = free - int(whole.sum())
    whole[np.argsort(-remainder, kind="stable")[:left]] += 1
    seats[large] = whole
    return seats
