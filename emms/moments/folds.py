"""Folds for cross-validation: assignment of samples, and moments per fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from emms.errors import EstimatorError
from emms.moments.base import Moments
from emms.moments.rows import Rows

SUMMED_ROWS = 4_096
"""Samples in memory at a time when moments are computed: 20 MB of features at D1 = 1,280."""


def assign_folds(labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return the fold of each sample, (N,), stratified by labels (N,).

    Samples of each label are assigned to the folds in turn, in random order, so that labels are spread as evenly as
    possible and folds have the same size up to 1.

    groups: (N,), the group of each sample, such as the image that it shares with others, or None. All samples of a
    group are in the same fold: otherwise, a regression on the other folds would have seen the same image with almost
    the same label. The largest groups are assigned first, each to the fold that keeps labels and sizes most even.
    Raises EstimatorError if there are fewer groups than folds.
    """
    if groups is not None:
        different, groups = np.unique(groups, return_inverse=True)
        if len(different) < len(labels):
            labels = np.unique(labels, return_inverse=True)[1]
            return _grouped(labels.tobytes(), groups.tobytes(), folds, seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), dtype=np.int64)
    fold_of[order] = np.arange(len(labels)) % folds
    return fold_of


@lru_cache(maxsize=2)  # all candidates and estimators of a run share the folds, and 100,000 groups take seconds
def _grouped(label_bytes: bytes, group_bytes: bytes, folds: int, seed: int) -> np.ndarray:
    """Return folds that keep groups together, read-only. Labels and groups: (N,), int64, numbers from 0, as bytes.

    The sum over labels of the squared counts per fold, relative to the label's count, plus the same for all samples, is
    smallest if labels and samples are spread evenly. Each group goes where it adds the least; ties between groups of
    equal size are broken by a random order of the samples.
    """
    labels, groups = np.frombuffer(label_bytes, np.int64), np.frombuffer(group_bytes, np.int64)
    sizes, order = np.bincount(groups), np.random.default_rng(seed).permutation(len(labels))
    if len(sizes) < folds:
        raise EstimatorError(
            f"the samples are {len(sizes)} groups that belong together, such as those of one image, which cannot be "
            f"split into {folds} folds; use more samples, or fewer folds"
        )
    first = np.full(len(sizes), len(labels))
    np.minimum.at(first, groups[order], np.arange(len(labels)))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    share = 1 / np.bincount(labels)
    counts, filled = np.zeros((folds, len(share))), np.zeros(folds)
    fold_of = np.empty(len(labels), dtype=np.int64)
    for group in np.lexsort((first, -sizes)):
        own = labels[members[group]]
        added = (counts[:, own] * share[own]).sum(axis=1) + filled * len(own) / len(labels)
        fold = int(np.argmin(np.round(added, 9)))  # rounded, so that ties are the same on every CPU
        np.add.at(counts[fold], own, 1)
        filled[fold] += len(own)
        fold_of[members[group]] = fold
    fold_of.flags.writeable = False
    return fold_of


def add_up(
    parts: Sequence[Moments],
    batches: Iterable[np.ndarray],
    fold_of: np.ndarray,
    labels: np.ndarray,
    targets: Rows | None = None,
) -> None:
    """Update the moments of each fold with its samples.

    parts: one per fold. batches: features (B, D1), in the order of the samples. fold_of, labels: the fold and the class
    of each sample, (N,). targets: label embeddings (U, D2, K), for moments that take those instead of classes; they are
    read for one batch at a time.
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
