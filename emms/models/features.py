"""Features in the store: how they are addressed, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from emms.models.base import View
from emms.store import Artifact, Store

VERSION = 1
FILE = "features.parquet"
SHARD_ROWS = 2048
"""Samples in a shard. A pass holds a shard's features in memory: 10 MB a candidate at D1 = 1,280."""
ROW_GROUP_ROWS = 512

FeaturesKey = dict[str, Any]


def features_key(
    dataset: str, network: dict[str, Any], preprocessing: dict[str, Any], view: View, dtype: str
) -> FeaturesKey:
    """Return what determines a candidate's features on a dataset, given by its fingerprint."""
    return {
        "stage": "features",
        "version": VERSION,
        "dataset": dataset,
        "network": network,
        "preprocessing": preprocessing,
        "layer": view.layer,
        "pool": view.pool,
        "dtype": dtype,
        "shard_rows": SHARD_ROWS,
    }


def shard_key(key: FeaturesKey, index: int) -> FeaturesKey:
    """Return the key of one shard of the features."""
    return {**key, "shard": index}


def shards(key: FeaturesKey, samples: int) -> int:
    """Return how many shards the features of so many samples have."""
    return -(-samples // key["shard_rows"])


def to_table(features: np.ndarray) -> pa.Table:
    """Return (B, D1) float32 features as a table of one fixed-size list a row."""
    rows = np.ascontiguousarray(features, dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    return pa.table({"features": lists})


def from_table(table: pa.Table) -> np.ndarray:
    """Return a table's features, (B, D1) float32, as a view of its memory where it lies in one piece."""
    lists = table["features"].combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(lists), lists.type.list_size)


@dataclass(frozen=True)
class Features:
    """A candidate's complete features on a dataset: N rows of D1 float32, in the order of the samples."""

    shards: list[Artifact]

    @property
    def dimension(self) -> int:
        """D1."""
        return int(self.shards[0].meta["dimension"])

    @property
    def parameters(self) -> int:
        """Parameters of the network."""
        return int(self.shards[0].meta["parameters"])

    @property
    def images_per_second(self) -> float:
        """Speed of the forward passes alone, when they were computed."""
        seconds = sum(shard.meta["seconds"] for shard in self.shards)
        return float(sum(shard.meta["samples"] for shard in self.shards) / max(seconds, 1e-9))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the features a row group at a time, (B, D1) float32."""
        for shard in self.shards:
            for table in shard.batches(FILE):
                yield from_table(table)


def find_features(store: Store, key: FeaturesKey, samples: int) -> Features | None:
    """Return the features if every shard is complete and whole, None otherwise."""
    found = []
    for index in range(shards(key, samples)):
        shard = store.find("features", shard_key(key, index))
        if shard is None:
            return None
        found.append(shard)
    return Features(found)
