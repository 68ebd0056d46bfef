"""Feature extraction: run samples through frozen networks and store their features, in bounded memory.

Candidates are grouped into passes. In a pass every sample is read and decoded once for all candidates, preprocessed
once for all with the same preprocessing, and goes once through each network, for all of its layers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from emms.datasets.base import Dataset
from emms.datasets.samples import Skipped, confirm, unreadable
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

WINDOW = 16
"""Batches of texts that are prepared together and sorted by length, so that those of a batch are of similar length."""
BATCHES_AHEAD = 3
"""Batches that are prepared while a GPU computes. Not used on a CPU, where threads that decode delay those that
compute, which wait for each other after each layer (measured: a tenth of the total time)."""
SAVE_S = 60.0
"""Seconds of work after which an unfinished shard is written to the store."""


@dataclass
class Extraction:
    """Compute the features of samples by networks, as far as they are not in the store.

    records: rows of the dataset's listing, each with the digest of its file. shards: for each candidate, by id, the
    digest of what it reads of each shard of `shard_rows` records. since: time (ns) before the records were read; files
    that change later are an error. batch_size: samples per forward pass, by default as suits the device; halved for a
    network that runs out of memory.
    """

    dataset: Dataset
    records: pl.DataFrame
    shards: Mapping[str, Sequence[str]]
    since: int
    store: Store
    device: torch.device
    batch_size: int | None = None
    on_bad_sample: Literal["stop", "skip"] = "stop"
    shard_rows: int = SHARD_ROWS

    def run(self, members: Sequence[Member]) -> None:
        """Extract the features of all candidates of one pass; a candidate that fails does not affect the others.

        Networks that do not fit into memory together with the others are run alone afterwards.
        Raises DatasetError if a sample has changed, or cannot be read and is not to be skipped, and StoreError if
        the store cannot be written. In any case, the features computed so far are kept in the store.
        """
        if self.device.type == "cpu" and any(member.key.dtype == "bfloat16" for member in members):
            listener.get().warn(
                "dtype bfloat16 is slower than float32 on a CPU, unless it has instructions for it (AMX, AVX-512 BF16)"
            )
        with full_precision():
            self._run_passes(members)

    def _run_passes(self, members: Sequence[Member]) -> None:
        self._run_pass(members)
        postponed = [member for member in members if member.postponed]
        for network in dict.fromkeys(member.network for member in postponed):
            alone = [member for member in postponed if member.network == network]
            for member in alone:
                member.postponed = False
            self._run_pass(alone)

    def _run_pass(self, members: Sequence[Member]) -> None:
        networks: dict[str, Network] = {}
        for index in range(-(-len(self.records) // self.shard_rows)):
            shards = [
                Shard(member, self.store, self.shards[member.id][index])
                for member in members
                if member.active and self.store.find(member.key.shard(self.shards[member.id][index])) is None
            ]
            for member in (shard.member for shard in shards):
                if member.network not in networks:
                    size = self.batch_size or default_batch_size(self.device)
                    networks[member.network] = Network(member.candidate, member.key, self.device, size)
            if shards:
                self._compute(shards, networks, index * self.shard_rows)

    def _compute(self, shards: list[Shard], networks: dict[str, Network], first: int) -> None:
        """Compute and store one shard, whose first sample is in row `first`, for all members in `shards`."""
        records = self.records[first : first + self.shard_rows].to_dicts()
        total = len(self.records)
        preparations = {shard.member.shared: shard.member.preparation for shard in shards}
        start, size = min(shard.done for shard in shards), max(network.batch_size for network in networks.values())
        if not any(shard.member.in_files for shard in shards):
            size *= WINDOW
        saved = time.monotonic()
        try:
            for batch in batches(self.dataset, records, preparations, start, size, self._ahead):
                if batch.skipped and self.on_bad_sample == "stop":
                    raise self._unreadable(batch.skipped, first)
                self._forward(batch, shards, networks)
                shards = [shard for shard in shards if shard.member.active]
                for unused in preparations.keys() - {shard.member.shared for shard in shards}:
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
        confirm(records, self.since)
        for shard in shards:
            shard.finish(networks[shard.member.network], first, total)

    def _forward(self, batch: Batch, shards: Sequence[Shard], networks: dict[str, Network]) -> None:
        """Run a batch through every network; the candidates of a network that fails leave the pass."""
        for name in dict.fromkeys(shard.member.network for shard in shards):
            pending = [shard for shard in shards if shard.member.network == name and shard.done < batch.stop]
            if pending:
                self._forward_one(networks[name], pending, batch, alone=len(networks) == 1)
            if not any(shard.member.active for shard in shards if shard.member.network == name):
                networks.pop(name).unload()

    def _forward_one(self, network: Network, shards: Sequence[Shard], batch: Batch, alone: bool) -> None:
        """Run a batch through one network. alone: whether no other network is in memory."""
        member = shards[0].member
        try:
            features = [np.empty((0, 1), np.float32)] * len(shards)
            if len(batch.rows):
                inputs = batch.inputs[member.shared]
                if isinstance(inputs, Exception):
                    raise inputs
                distinct = network(inputs.distinct, [shard.member.key.view for shard in shards])
                features = [rows[inputs.index] for rows in distinct]
            for shard, rows in zip(shards, features, strict=True):
                shard.add(rows, batch)
        except OutOfMemoryError as cause:
            for shard in shards:
                shard.member.postponed = not alone
                if alone:
                    shard.member.fail(str(cause))
        except Exception as cause:  # networks are third-party code, whose errors must not stop the other candidates
            if len(shards) > 1:  # only one of their layers may be at fault
                for shard in shards:
                    self._forward_one(network, [shard], batch, alone)
            else:
                reason = f"model '{member.id}' fails in its forward pass: {type(cause).__name__}: {cause}"
                member.fail(str(cause) if isinstance(cause, EMMSError) else reason)

    def _save(
        self, shards: Sequence[Shard], networks: dict[str, Network], records: Sequence[Record], first: int
    ) -> None:
        done = max((shard.done for shard in shards), default=0)
        confirm(records[:done], self.since)
        for shard in shards:
            shard.save(networks[shard.member.network], first, len(self.records))

    def _unreadable(self, skipped: Sequence[Skipped], first: int) -> DatasetError:
        """Return the error about samples that cannot be read, including others that are found within some seconds."""
        known = [bad.model_copy(update={"row": first + bad.row}) for bad in skipped]
        after = known[-1].row + 1
        others, checked = find_unreadable(self.dataset, self.records[after:], after)
        left = len(self.records) - after - checked
        more = f"\n({left:,} more samples were not checked)" if left else ""
        return unreadable([*known, *others], after + checked, more)

    @property
    def _ahead(self) -> int:
        return 0 if self.device.type == "cpu" else BATCHES_AHEAD
