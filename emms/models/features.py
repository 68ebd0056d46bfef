"""Features in the store: their keys, and how they are written and read.

Features are stored in shards of a fixed number of samples. Each shard is an artifact, addressed by the contents of its
samples: finished shards of a stopped run are not computed again, even if a later sample had to be fixed, and a damaged
file costs one shard. An unfinished shard is stored about every minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from emms.models.base import View
from emms.store import Artifact, Key, Meta, Store

FILE = "features.parquet"
SHARD_ROWS = 2048
"""Samples per shard. A pass keeps the features of a shard in memory: 10 MB per candidate at D1 = 1,280."""
ROW_GROUP_ROWS = 512


class SkippedRow(Meta):
    """A sample of a shard that cannot be read: its row in the shard, and the reason."""

    row: int
    reason: str


class ShardMeta(Meta):
    """Metadata of a shard of features."""

    model: str
    samples: NonNegativeInt
    """Number of samples, including skipped ones."""
    skipped: list[SkippedRow]
    """Samples that cannot be read, which have no features."""
    dimension: PositiveInt
    parameters: NonNegativeInt
    throughput: FiniteFloat
    """Samples per second: the median over the batches."""
    constant: bool
    """Whether all samples have the same features."""

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        rows = [sample.row for sample in self.skipped]
        if rows != sorted(set(rows)) or not all(0 <= row < self.samples for row in rows):
            raise ValueError("rows of skipped samples must increase, and be within the shard")
        return self


class FeaturesKey(Key):
    """Key of the features of a candidate on all samples; the store contains their shards."""

    kind: ClassVar[str] = "features"
    version: ClassVar[int] = 2
    meta: ClassVar[type[Meta]] = ShardMeta

    contents: str
    """Digest of the contents of the samples."""
    network: dict[str, Any]
    preprocessing: dict[str, Any]
    reads: tuple[str, ...] = ("image",)
    """The fields of a sample that the network uses, sorted."""
    layer: str | None
    pool: str
    dtype: str

    @property
    def view(self) -> View:
        """Where in the network features are taken."""
        return View(self.layer, self.pool)

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the only file."""
        return (FILE,)

    def shard(self, contents: str) -> FeaturesKey:
        """Return the key of the shard whose samples have this digest."""
        return self.model_copy(update={"contents": contents})

    def unfinished(self) -> UnfinishedKey:
        """Return the key of the shard while it is unfinished."""
        return UnfinishedKey(**dict(self))


class UnfinishedKey(FeaturesKey):
    """Key of the first samples of a shard."""

    kind: ClassVar[str] = "unfinished"


@dataclass(frozen=True)
class Features:
    """The complete features of a candidate: one row of D1 float32 per readable sample, in the order of the samples."""

    shards: Sequence[Artifact]

    @property
    def dimension(self) -> int:
        """D1, the dimension of the features."""
        return max(shard.meta.dimension for shard in self.shards)  # it is 1 in a shard without readable samples

    @property
    def parameters(self) -> int:
        """Number of parameters of the network."""
        return max(shard.meta.parameters for shard in self.shards)

    @property
    def throughput(self) -> float:
        """Samples per second through the forward pass: the median over the shards."""
        return float(np.median([shard.meta.throughput for shard in self.shards]))

    @property
    def constant(self) -> bool:
        """Whether the features are constant within each shard."""
        return all(shard.meta.constant for shard in self.shards)

    @property
    def skipped(self) -> list[SkippedRow]:
        """The samples that cannot be read, by their row among all samples."""
        skipped, start = [], 0
        for shard in self.shards:
            skipped += [SkippedRow(row=start + bad.row, reason=bad.reason) for bad in shard.meta.skipped]
            start += shard.meta.samples
        return skipped

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the features shard by shard, (B, D1) float32. Raises DamagedError."""
        return iter(JoinedFeatures([self]))


@dataclass(frozen=True)
class JoinedFeatures:
    """The features of one or several networks side by side.

    left_out: the rows of samples that are left out, though some of the networks have features of them.
    """

    parts: Sequence[Features]
    left_out: Sequence[int] = ()

    @property
    def dimension(self) -> int:
        """D1, the sum of the dimensions."""
        return sum(part.dimension for part in self.parts)

    @property
    def parameters(self) -> int:
        """Number of parameters of all networks."""
        return sum(part.parameters for part in self.parts)

    @property
    def throughput(self) -> float:
        """Samples per second through all networks, one after the other."""
        seconds = [1 / part.throughput if part.throughput else 0.0 for part in self.parts]
        return 1 / sum(seconds) if all(seconds) else 0.0

    @property
    def constant(self) -> bool:
        """Whether the features are constant within each shard."""
        return all(part.constant for part in self.parts)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the features shard by shard, (B, D1) float32. Raises DamagedError."""
        start = 0
        for shards in zip(*(part.shards for part in self.parts), strict=True):
            samples = shards[0].meta.samples
            left_out = {row - start for row in self.left_out if start <= row < start + samples}
            left_out |= {bad.row for shard in shards for bad in shard.meta.skipped}
            if samples > len(left_out):
                features = [_without(shard, left_out) for shard in shards]
                yield features[0] if len(features) == 1 else np.hstack(features)
            start += samples


def _without(shard: Artifact, left_out: set[int]) -> np.ndarray:
    """Return the features in a shard, (B, D1) float32, without the samples in these rows."""
    features, skipped = read_shard(shard), {bad.row for bad in shard.meta.skipped}
    if left_out == skipped:
        return features
    return features[[row not in left_out for row in range(shard.meta.samples) if row not in skipped]]


def read_shard(shard: Artifact) -> np.ndarray:
    """Return the features in a shard, (B, D1) float32, without copying them.

    Raises DamagedError if the table is not as it was written.
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
    """Return the features if every shard is in the store, else None. shards: the digest of the contents of each."""
    artifacts = []
    for contents in shards:
        artifact = store.find(key.shard(contents))
        if artifact is None:
            return None
        artifacts.append(artifact)
    return Features(artifacts)
