"""A network of a pass: loaded at its first batch, run with a batch size that fits into memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from emms.errors import ModelError
from emms.models.base import Candidate, Forward, View
from emms.models.features import FeaturesKey

if TYPE_CHECKING:  # see emms.hardware
    import torch


class OutOfMemoryError(ModelError):
    """A network does not fit into the memory of the device, even with a single sample per batch."""


class Network:
    """One network, shared by all candidates that are layers of it."""

    def __init__(self, candidate: Candidate, key: FeaturesKey, device: torch.device, batch_size: int) -> None:
        self.batch_size = batch_size
        self._candidate, self._device = candidate, device
        self._identity, self._dtype = key.network, key.dtype
        self._forward: Forward | None = None
        self._speeds: list[float] = []

    @property
    def parameters(self) -> int:
        """Number of parameters of the network."""
        return self._loaded().parameters

    @property
    def throughput(self) -> float:
        """Samples per second through the forward pass, including transfers to the device: the median over batches."""
        return median(self._speeds) if self._speeds else 0.0

    def unload(self) -> None:
        """Free the network's memory."""
        self._forward = None
        if self._device.type == "cuda":
            import torch

            torch.cuda.empty_cache()

    def __call__(self, inputs: Any, views: Sequence[View]) -> list[np.ndarray]:
        """Return the features of prepared samples (B, …), (B, D1) float32 for each view, from one forward pass.

        inputs: an array, or a list if they are ragged; these are run in batches of similar length, the longest first.
        If memory runs out, the batch size is halved, for all later batches too.
        Raises OutOfMemoryError if a single sample does not fit, and any exception of the network.
        """
        try:
            self._loaded()
            ragged = isinstance(inputs, list)
            if ragged:
                order = sorted(range(len(inputs)), key=lambda row: self._candidate.length(inputs[row]), reverse=True)
                inputs = [inputs[row] for row in order]
            while True:
                try:
                    started = time.perf_counter()
                    parts = [
                        self._run(inputs[start : start + self.batch_size], views)
                        for start in range(0, len(inputs), self.batch_size)
                    ]
                    self._speeds.append(len(inputs) / max(time.perf_counter() - started, 1e-9))
                    features = [np.concatenate(part) for part in zip(*parts, strict=True)]
                    return [rows[np.argsort(order)] for rows in features] if ragged else features
                except (RuntimeError, MemoryError) as cause:
                    if self.batch_size == 1 or not _out_of_memory(cause):
                        raise
                self.batch_size //= 2
                if self._device.type == "cuda":
                    import torch

                    torch.cuda.empty_cache()
        except (RuntimeError, MemoryError) as cause:
            if not _out_of_memory(cause):
                raise
            raise OutOfMemoryError(
                f"model '{self._candidate.spec.id}' does not fit into the memory of {self._device}, even one sample "
                f"at a time; use another device, or dtype bfloat16"
            ) from cause

    def _loaded(self) -> Forward:
        if self._forward is None:
            self._candidate.promised = self._identity
            self._forward = self._candidate.load(self._device)
        return self._forward

    def _run(self, inputs: Any, views: Sequence[View]) -> list[np.ndarray]:
        import torch

        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._dtype == "bfloat16"),
        ):
            outputs = self._loaded()(inputs, views)
        return [output.float().cpu().numpy() for output in outputs]


def _out_of_memory(cause: BaseException) -> bool:
    import torch

    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(cause)
