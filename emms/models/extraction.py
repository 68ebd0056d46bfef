"""Feature extraction: samples through frozen networks, into the store, in bounded memory.

Candidates are taken together in passes. In a pass every sample is read and decoded once for all candidates, prepared
once for all that prepare it alike, and goes once through each network, however many of its layers are candidates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from emms.datasets.base import Dataset
from emms.datasets.samples import Skipped, confirm, unreadable
from emms.downstream import Sample
from emms.errors import DatasetError, EMMSError
from emms.hardware import default_batch_size
from emms.models.features import SHARD_ROWS
from emms.models.loading import Batch, Record, batches, find_unreadable
from emms.models.network import Network, OutOfMemoryError
from emms.models.passes import Member
from emms.models.precision import full_precision
from emms.models.shards import Shard
from emms.progress import listener
from emms.store import Store

if TYPE_CHECKING:  # see emms.hardware
    import torch

BATCHES_AHEAD = 3
"""Batches that are prepared while a GPU computes. A CPU has nothing to gain: threads that decode would only hold up
those that multiply, which wait for each other after each layer (measured: a tenth of the whole time)."""
SAVE_S = 60.0
"""Seconds of work after which an unfinished shard is written to the store."""


@dataclass
class Extraction:
    """Takes samples through networks, and stores what the store lacks of their features.

    records: rows of the dataset's listing, each with the digest of its file. shards: what determines the contents of
    each shard of `shard_rows` records. batch_size: samples per forward pass, by default what suits the device; halved,
    for the network concerned, when memory runs out.
    """

    dataset: Dataset
    records: pl.DataFrame
    shards: Sequence[str]
    store: Store
    device: torch.device
    batch_size: int | None = None
    on_bad_sample: Literal["stop", "skip"] = "stop"
    shard_rows: int = SHARD_ROWS
    _began: int = field(default_factory=time.time_ns)

    def run(self, members: Sequence[Member]) -> None:
        """Take the samples through the networks of one pass; a candidate that fails does not take the others along.

        Networks that do not fit into memory beside the others are taken alone afterwards.
        Raises DatasetError when a sample cannot be read and is not to be skipped, or has changed, and StoreError when
        the store cannot be written. Whatever stops the work, the features computed so far are in the store.
        """
        if self.device.type == "cpu" and any(member.key.dtype == "bfloat16" for member in members):
            listener.get().warn(
                "dtype bfloat16 is slower than float32 on a CPU, unless it has instructions for it (AMX, AVX-512 BF16)"
            )
        with full_precision():
            self._all(members)

    def _all(self, members: Sequence[Member]) -> None:
        self._pass(members)
        postponed = [member for member in members if member.postponed]
        for network in dict.fromkeys(member.network for member in postponed):
            alone = [member for member in postponed if member.network == network]
            for member in alone:
                member.postponed = False
            self._pass(alone)

    def _pass(self, members: Sequence[Member]) -> None:
        networks: dict[str, Network] = {}
        for index, contents in enumerate(self.shards):
            shards = [
                Shard(member, self.store, contents)
                for member in members
                if member.active and self.store.find(member.key.shard(contents)) is None
            ]
            for member in (shard.member for shard in shards):
                if member.network not in networks:
                    size = self.batch_size or default_batch_size(self.device)
                    networks[member.network] = Network(member.candidate, member.key, self.device, size)
            if shards:
                self._compute(shards, networks, index * self.shard_rows)

    def _compute(self, shards: list[Shard], networks: dict[str, Network], first: int) -> None:
        """Compute and write one shard, whose first sample is in row `first`, for all members that lack it."""
        records = self.records[first : first + self.shard_rows].to_dicts()
        total = len(self.records)
        preparations: dict[Hashable, Callable[[Sample], np.ndarray]] = {
            shard.member.preparation: shard.member.candidate.prepare for shard in shards
        }
        start, size = min(shard.done for shard in shards), max(network.batch_size for network in networks.values())
        saved = time.monotonic()
        try:
            for batch in batches(self.dataset, records, preparations, start, size, self._ahead):
                if batch.skipped and self.on_bad_sample == "stop":
                    raise self._unreadable(batch.skipped, first)
                self._forward(batch, shards, networks)
                shards = [shard for shard in shards if shard.member.active]
                for unused in preparations.keys() - {shard.member.preparation for shard in shards}:
                    del preparations[unused]
                for shard in shards:
                    speed = networks[shard.member.network].throughput
                    listener.get().advance(shard.member.id, first + shard.done, total, speed)
                if not shards:
                    return
                if time.monotonic() - saved > SAVE_S:
                    self._save(shards, networks, records, first)
                    saved = time.monotonic()
        except BaseException:
            self._save([shard for shard in shards if shard.member.active], networks, records, first)
            raise
        confirm(records, self._began)
        for shard in shards:
            shard.finish(networks[shard.member.network], first, total)

    def _forward(self, batch: Batch, shards: Sequence[Shard], networks: dict[str, Network]) -> None:
        """Take a batch through every network; a network that fails takes its own candidates out of the pass."""
        for name in dict.fromkeys(shard.member.network for shard in shards):
            sharers = [shard for shard in shards if shard.member.network == name and shard.done < batch.stop]
            if sharers:
                self._through(networks[name], sharers, batch, alone=len(networks) == 1)
            if not any(shard.member.active for shard in shards if shard.member.network == name):
                networks.pop(name).unload()

    def _through(self, network: Network, shards: Sequence[Shard], batch: Batch, alone: bool) -> None:
        """Take a batch through one network. alone: whether no other network is in memory."""
        member = shards[0].member
        try:
            inputs = batch.inputs.get(member.preparation, _NOTHING)
            if isinstance(inputs, Exception):
                raise inputs
            features = [np.empty((0, 1), np.float32)] * len(shards)
            if len(inputs):
                features = network(inputs, [shard.member.candidate.view for shard in shards])
            for shard, rows in zip(shards, features, strict=True):
                shard.add(rows, batch)
        except OutOfMemoryError as cause:
            for shard in shards:
                shard.member.postponed = not alone
                if alone:
                    shard.member.fail(str(cause))
        except Exception as cause:  # a network is foreign code: whatever it raises must not stop the others
            if len(shards) > 1:  # it may be the layer of one of them
                for shard in shards:
                    self._through(network, [shard], batch, alone)
            else:
                reason = f"model '{member.id}' fails in its forward pass: {type(cause).__name__}: {cause}"
                member.fail(str(cause) if isinstance(cause, EMMSError) else reason)

    def _save(
        self, shards: Sequence[Shard], networks: dict[str, Network], records: Sequence[Record], first: int
    ) -> None:
        done = max((shard.done for shard in shards), default=0)
        confirm(records[:done], self._began)
        for shard in shards:
            shard.save(networks[shard.member.network], first, len(self.records))

    def _unreadable(self, skipped: Sequence[Skipped], first: int) -> DatasetError:
        """Return the error about samples that cannot be read, with others that are found in some seconds."""
        here = [bad.model_copy(update={"row": first + bad.row}) for bad in skipped]
        after = here[-1].row + 1
        others, looked_at = find_unreadable(self.dataset, self.records[after:], after)
        left = len(self.records) - after - looked_at
        more = f"\n({left:,} more samples were not looked at)" if left else ""
        return unreadable([*here, *others], after + looked_at, more)

    @property
    def _ahead(self) -> int:
        return 0 if self.device.type == "cpu" else BATCHES_AHEAD


_NOTHING = np.empty((0,))
"""The input where no sample of a batch can be read."""
