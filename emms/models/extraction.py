"""Feature extraction: images through frozen networks, into the store, in bounded memory.

Candidates are taken together in passes. In a pass every image is read, decoded and resized once for all candidates, and
goes once through each network, however many of its layers are candidates. Features go to the store in shards of a fixed
number of samples; a shard is an artifact of its own, so what was finished before a process was killed is not computed
again, and a spoilt file costs one shard.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from emms.datasets.base import Dataset
from emms.errors import BadSampleError, DatasetError, EMMSError, ModelError
from emms.hardware import cores, default_batch_size, keep_freed_memory
from emms.models.base import Candidate, Forward
from emms.models.features import FILE, ROW_GROUP_ROWS, FeaturesKey, shard_key, shards, to_table
from emms.progress import listener
from emms.store import Store, address

if TYPE_CHECKING:  # see emms.hardware
    import torch

BATCHES_AHEAD = 3
"""Batches that are prepared while a GPU computes. A CPU has nothing to gain: threads that decode would only hold up
those that multiply, which wait for each other after each layer (measured: a tenth of the whole time)."""
NETWORKS_IN_PASS = 8
"""Networks that are in memory together. More would save decoding, fewer would save memory."""


@dataclass
class Member:
    """A candidate in a pass, with the key of its features; once it has failed, the reason."""

    candidate: Candidate
    key: FeaturesKey
    failure: str | None = None
    rows: list[np.ndarray] = field(default_factory=list)
    """Features of the current shard, batch by batch."""
    seconds: float = 0.0
    """Spent in forward passes of the current shard."""
    computed: int = 0
    """Shards that were computed, not found in the store."""

    @property
    def id(self) -> str:
        """The candidate's name in every output."""
        return self.candidate.spec.id

    @cached_property
    def network(self) -> str:
        """What candidates that are one network at several layers have in common."""
        return address(self.key["network"] | {"preprocessing": self.key["preprocessing"]})

    def fail(self, reason: str) -> None:
        """Leave this candidate out from here on."""
        self.failure, self.rows = reason, []
        listener.get().failed(self.id, reason)


def plan_passes(members: Sequence[Member]) -> list[list[Member]]:
    """Group candidates into passes: those that prepare a sample alike, at most NETWORKS_IN_PASS networks in each."""
    alike: dict[Hashable, dict[str, list[Member]]] = {}
    for member in members:
        sharing = (type(member.candidate).prepare, member.candidate.sharing())
        alike.setdefault(sharing, {}).setdefault(member.network, []).append(member)
    passes = []
    for networks in alike.values():
        groups = list(networks.values())
        for start in range(0, len(groups), NETWORKS_IN_PASS):
            passes.append([member for group in groups[start : start + NETWORKS_IN_PASS] for member in group])
    return passes


def extract(
    members: Sequence[Member],
    dataset: Dataset,
    samples: pl.DataFrame,
    store: Store,
    device: torch.device,
    batch_size: int | None = None,
    confirm: Callable[[Sequence[dict[str, Any]]], None] = lambda records: None,
) -> None:
    """Compute what the store lacks of the features of one pass.

    members: candidates that `plan_passes` put together; a failed one gets a `failure`, the others go on.
    samples: N rows of the dataset's listing.
    batch_size: images a forward pass; halved, for the network concerned, when memory runs out.
    confirm: called with the samples of a shard before its features are written; raises if they are not what the keys
    say they are.

    Raises DatasetError when a sample cannot be read, StoreError when the store cannot be written.
    """
    ahead = BATCHES_AHEAD
    if device.type == "cpu":
        keep_freed_memory()
        ahead = 0
        if members[0].key["dtype"] == "bfloat16":
            listener.get().warn(
                "dtype bfloat16 is slower than float32 on a CPU, unless it has instructions for it (AMX, AVX-512 BF16)"
            )
    networks: dict[str, _Network] = {}
    for shard in range(shards(members[0].key, len(samples))):
        rows = members[0].key["shard_rows"]
        part = samples[shard * rows : (shard + 1) * rows].to_dicts()
        missing = [
            member
            for member in members
            if member.failure is None and store.find("features", shard_key(member.key, shard)) is None
        ]
        for member in missing:
            if member.network not in networks:
                networks[member.network] = _Network(device, batch_size or default_batch_size(device))
        if missing:
            _compute_shard(missing, networks, dataset, part, store, shard, shard * rows, len(samples), ahead, confirm)


def _compute_shard(
    members: Sequence[Member],
    networks: dict[str, _Network],
    dataset: Dataset,
    records: Sequence[dict[str, Any]],
    store: Store,
    shard: int,
    before: int,
    total: int,
    ahead: int,
    confirm: Callable[[Sequence[dict[str, Any]]], None],
) -> None:
    for member in members:
        member.rows, member.seconds = [], 0.0
    done = before
    size = max(network.batch_size for network in networks.values())
    for batch in _batches(dataset, members[0].candidate, records, size, ahead):
        if all(member.failure for member in members):
            return
        done += len(batch)
        for name, network in networks.items():
            sharers = [m for m in members if m.network == name and m.failure is None]
            network.run(batch, sharers)
            for member in sharers:
                if member.failure is None:
                    listener.get().advance(member.id, done, total)
    confirm(records)
    for member in members:
        if member.failure is None:
            _write_shard(member, networks[member.network].parameters, store, shard)


def _write_shard(member: Member, parameters: int, store: Store, shard: int) -> None:
    features = np.concatenate(member.rows)
    member.rows = []
    spoilt = int((~np.isfinite(features).all(axis=1)).sum())
    if spoilt:
        member.fail(
            f"model '{member.id}' gives features with nan or infinity for {spoilt} of {len(features)} samples "
            f"(shard {shard}, the first that has any); "
            f"check its weights, or use dtype float32"
        )
        return
    with store.create("features", shard_key(member.key, shard)) as draft:
        draft.table(FILE, to_table(features), row_group_rows=ROW_GROUP_ROWS)
        draft.meta |= {
            "model": member.id,
            "samples": len(features),
            "dimension": features.shape[1],
            "parameters": parameters,
            "seconds": member.seconds,
        }
    member.computed += 1


def _batches(
    dataset: Dataset, candidate: Candidate, records: Sequence[dict[str, Any]], size: int, ahead: int
) -> Iterator[np.ndarray]:
    """Read and prepare samples in threads, a few batches ahead; Pillow and numpy let go of the interpreter's lock."""

    def prepared(record: dict[str, Any]) -> np.ndarray:
        try:
            return candidate.prepare(dataset.load(record))
        except BadSampleError as bad:
            raise DatasetError(f"sample '{record['id']}' {bad}; it was whole when the run began") from bad

    pool = ThreadPoolExecutor(cores(), thread_name_prefix="loader")
    try:
        waiting: deque[list[Future[np.ndarray]]] = deque()
        for start in range(0, len(records), size):
            waiting.append([pool.submit(prepared, record) for record in records[start : start + size]])
            if len(waiting) > ahead:
                yield np.stack([future.result() for future in waiting.popleft()])
        while waiting:
            yield np.stack([future.result() for future in waiting.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)


class _Network:
    """A network of a pass, loaded when its first batch comes, with the batch size that memory has room for."""

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self._device, self.batch_size = device, batch_size
        self._forward: Forward | None = None
        self.parameters = 0

    def run(self, batch: np.ndarray, members: Sequence[Member]) -> None:
        """Add the features of a batch to each member's rows; if the network fails, so do the members."""
        if not members:
            return
        try:
            if self._forward is None:
                self._forward = members[0].candidate.load(self._device)
                self.parameters = self._forward.parameters
            started = time.perf_counter()
            features = self._run(batch, members)
            seconds = time.perf_counter() - started
        except Exception as cause:  # a network is foreign code: whatever it raises must not stop the others
            if len(members) > 1:  # it may be the layer of one of them
                for member in members:
                    self.run(batch, [member])
                return
            self._forward = None  # make room for the others
            if isinstance(cause, EMMSError):
                members[0].fail(str(cause))
            elif _out_of_memory(cause):
                members[0].fail(f"model '{members[0].id}' does not fit into the memory of {self._device}; use another")
            else:
                members[0].fail(f"model '{members[0].id}' fails in its forward pass: {type(cause).__name__}: {cause}")
        else:
            for member, rows in zip(members, features, strict=True):
                member.rows.append(rows)
                member.seconds += seconds

    def _run(self, batch: np.ndarray, members: Sequence[Member]) -> list[np.ndarray]:
        while True:
            try:
                parts = [
                    self._pass(batch[start : start + self.batch_size], members)
                    for start in range(0, len(batch), self.batch_size)
                ]
                return [np.concatenate(part) for part in zip(*parts, strict=True)]
            except (RuntimeError, MemoryError) as cause:
                if not _out_of_memory(cause):
                    raise
                if self.batch_size == 1:
                    raise ModelError(
                        f"model '{members[0].id}' does not fit into the memory of {self._device}, one image at a time; "
                        f"use another device, or dtype bfloat16"
                    ) from cause
            self.batch_size //= 2
            if self._device.type == "cuda":
                import torch

                torch.cuda.empty_cache()

    def _pass(self, batch: np.ndarray, members: Sequence[Member]) -> list[np.ndarray]:
        import torch

        assert self._forward is not None
        bfloat16 = members[0].key["dtype"] == "bfloat16"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=bfloat16):
            outputs = self._forward(batch, [member.candidate.view for member in members])
        return [output.float().cpu().numpy() for output in outputs]


def _out_of_memory(cause: BaseException) -> bool:
    import torch

    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(cause)
