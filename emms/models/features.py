"""Features in the store: what determines them, and how they are written and read.

Features are kept in shards of a fixed number of samples. A shard is an artifact of its own, addressed by the contents
of its samples: what was finished before a run was stopped is not computed again, even if a later sample had to be
repaired, and a damaged file costs one shard. A shard that is not finished yet is kept as well, every minute or so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from emms.models.base import View
from emms.store import Artifact, Key, Meta, Store

FILE = "features.parquet"
SHARD_ROWS = 2048
"""Samples in a shard. A pass holds the features of a shard in memory: 10 MB per candidate at D1 = 1,280."""
ROW_GROUP_ROWS = 512


class SkippedRow(Meta):
    """A sample of a shard that cannot be read: its place in the shard, and why."""

    row: int
    reason: str


class ShardMeta(Meta):
    """What is noted about features."""

    model: str
    samples: int
    """Samples that were looked at."""
    skipped: list[SkippedRow]
    """Those of them that cannot be read, for which there are no features."""
    dimension: int
    parameters: int
    throughput: float
    """Samples per second: the median over the batches."""
    constant: bool
    """Whether all samples have the same features."""


class FeaturesKey(Key):
    """What determines the features of a candidate on all samples. What is in the store are shards."""

    kind: ClassVar[str] = "features"
    version: ClassVar[int] = 2
    meta: ClassVar[type[Meta]] = ShardMeta

    contents: str
    """Of the samples."""
    network: dict[str, Any]
    preprocessing: dict[str, Any]
    layer: str | None
    pool: str
    dtype: str

    @property
    def view(self) -> View:
        """Where in the network features are taken."""
        return View(self.layer, self.pool)

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the one file."""
        return (FILE,)

    def shard(self, contents: str) -> FeaturesKey:
        """Return the key of the shard whose samples have these contents."""
        return self.model_copy(update={"contents": contents})

    def unfinished(self) -> UnfinishedKey:
        """Return the key under which a shard is kept as long as it is not finished."""
        return UnfinishedKey(**dict(self))


class UnfinishedKey(FeaturesKey):
    """The first samples of a shard."""

    kind: ClassVar[str] = "unfinished"


@dataclass(frozen=True)
class Features:
    """The complete features of a candidate: one row of D1 float32 for each sample that can be read, in their order."""

    shards: Sequence[Artifact]

    @property
    def dimension(self) -> int:
        """D1."""
        return max(shard.meta.dimension for shard in self.shards)  # a shard without a readable sample has one of 1

    @property
    def parameters(self) -> int:
        """Parameters of the network."""
        return max(shard.meta.parameters for shard in self.shards)

    @property
    def throughput(self) -> float:
        """Samples per second through the forward pass when they were computed: the median over the shards."""
        return float(np.median([shard.meta.throughput for shard in self.shards]))

    @property
    def constant(self) -> bool:
        """Whether all samples have the same features, as far as shards tell."""
        return all(shard.meta.constant for shard in self.shards)

    @property
    def skipped(self) -> list[SkippedRow]:
        """The samples that cannot be read, by their row among all samples."""
        found, start = [], 0
        for shard in self.shards:
            found += [SkippedRow(row=start + bad.row, reason=bad.reason) for bad in shard.meta.skipped]
            start += shard.meta.samples
        return found

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the features shard by shard, (B, D1) float32. Raises DamagedError."""
        for shard in self.shards:
            if shard.meta.samples > len(shard.meta.skipped):
                yield read_shard(shard)


def read_shard(shard: Artifact) -> np.ndarray:
    """Return the features in a shard, (B, D1) float32, as a view of the memory that they were read into.

    Raises DamagedError if they are not what was written.
    """
    table = shard.table(FILE)
    try:
        lists = table["features"].combine_chunks()
        features = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, shard.meta.dimension)
    except (KeyError, AttributeError, ValueError, pa.ArrowException) as cause:
        raise shard.damaged() from cause
    if len(features) != shard.meta.samples - len(shard.meta.skipped) or features.dtype != np.float32:
        raise shard.damaged()
    return features


def to_table(features: np.ndarray) -> pa.Table:
    """Return (B, D1) float32 features as a table with a fixed-size list in each row."""
    rows = np.ascontiguousarray(features, dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    return pa.table({"features": lists})


def find_features(store: Store, key: FeaturesKey, shards: Sequence[str]) -> Features | None:
    """Return the features if every shard is there, None otherwise. shards: what determines the contents of each."""
    found = []
    for contents in shards:
        shard = store.find(key.shard(contents))
        if shard is None:
            return None
        found.append(shard)
    return Features(found)
