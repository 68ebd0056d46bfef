"""Folds for cross-validation: assignment of samples, and moments per fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from emms.errors import EstimatorError
from emms.moments.base import Moments

SUMMED_ROWS = 4_096
"""Samples in memory at a time when moments are computed: 20 MB of features at D1 = 1,280."""


def assign_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each sample, (N,), stratified by labels (N,).

    Samples of each label are assigned to the folds in turn, in random order, so that labels are spread as evenly as
    possible and folds have the same size up to 1.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), dtype=np.int64)
    fold_of[order] = np.arange(len(labels)) % folds
    return fold_of


def add_up(
    parts: Sequence[Moments],
    batches: Iterable[np.ndarray],
    fold_of: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray | None = None,
) -> None:
    """Update the moments of each fold with its samples.

    parts: one per fold. batches: features (B, D1), in the order of the samples. fold_of, labels: the fold and the class
    of each sample, (N,). targets: label embeddings (C, D2, K), for moments that take those instead of classes.
    """
    start = 0
    for batch in _merged(batches):
        if start + len(batch) > len(labels):
            raise EstimatorError(f"there are more rows of features than labels, of which there are {len(labels)}")
        batch_labels, batch_folds = labels[start : start + len(batch)], fold_of[start : start + len(batch)]
        for fold, part in enumerate(parts):
            rows = slice(None) if len(parts) == 1 else batch_folds == fold
            part.update(batch[rows], batch_labels[rows] if targets is None else targets[batch_labels[rows]])
        start += len(batch)


def _merged(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield batches merged to SUMMED_ROWS or more, so that those of each fold are large enough for BLAS."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= SUMMED_ROWS:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
