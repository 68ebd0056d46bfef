"""A shard of features while it is being computed: resumed from the store, and saved there until it is finished."""

from __future__ import annotations

import numpy as np

from emms.errors import DamagedError
from emms.models.features import FILE, ROW_GROUP_ROWS, ShardMeta, SkippedRow, read_shard, to_table
from emms.models.loading import Batch
from emms.models.network import Network
from emms.models.passes import Member
from emms.progress import listener
from emms.store import Store

_SAME = 4 * float(np.finfo(np.float32).eps)
"""Features whose relative differences between samples are at most this count as constant."""


class Shard:
    """The features, computed so far, of one candidate on one shard of the samples."""

    def __init__(self, member: Member, store: Store, contents: str) -> None:
        self.member, self._store, self._key = member, store, member.key.shard(contents)
        self.done = 0
        """Number of samples processed, including skipped ones."""
        self._saved = 0
        self._rows: list[np.ndarray] = []
        self._skipped: list[SkippedRow] = []
        unfinished = store.find(self._key.unfinished())
        if unfinished is not None:
            try:
                self._rows = [read_shard(unfinished)]
            except DamagedError:
                return
            self.done = self._saved = unfinished.meta.samples
            self._skipped = list(unfinished.meta.skipped)

    def add(self, features: np.ndarray, batch: Batch) -> None:
        """Add the features (B, D1) of a batch, except for samples that were already processed."""
        self._rows.append(features[batch.rows >= self.done])
        self._skipped += [SkippedRow(row=bad.row, reason=bad.reason) for bad in batch.skipped if bad.row >= self.done]
        self.done = batch.stop

    def save(self, network: Network, first: int, total: int) -> None:
        """Store the unfinished shard. first: the row of its first sample. total: the number of all samples."""
        if self.done > self._saved:
            self._write(network, finished=False)
            self._saved = self.done
            listener.get().kept(self.member.id, first + self.done, total)

    def finish(self, network: Network, first: int, total: int) -> None:
        """Store the finished shard; if its features are not finite, the candidate fails instead."""
        self._write(network, finished=True)
        if self.member.failure:
            return
        self.member.computed += 1
        unfinished = self._store.find(self._key.unfinished())
        if unfinished is not None:
            self._store.discard(unfinished)
        listener.get().kept(self.member.id, first + self.done, total)

    def _write(self, network: Network, finished: bool) -> None:
        features = np.concatenate([rows for rows in self._rows if len(rows)] or [np.empty((0, 1), np.float32)])
        self._rows = [features]
        not_finite = int((~np.isfinite(features).all(axis=1)).sum())
        if not_finite:
            self.member.fail(
                f"model '{self.member.id}' has features with nan or infinity for {not_finite} of {len(features)} "
                f"samples; check its weights, or use dtype float32"
            )
            return
        with self._store.create(self._key if finished else self._key.unfinished()) as draft:
            draft.table(FILE, to_table(features), row_group_rows=ROW_GROUP_ROWS)
            draft.meta = ShardMeta(
                model=self.member.id,
                samples=self.done,
                skipped=self._skipped,
                dimension=features.shape[1],
                parameters=network.parameters,
                throughput=network.throughput,
                constant=_constant(features),
            )


def _constant(features: np.ndarray) -> bool:
    low, high = features.min(axis=0, initial=np.inf), features.max(axis=0, initial=-np.inf)
    return bool((high - low <= _SAME * np.maximum(np.abs(low), np.abs(high))).all())
