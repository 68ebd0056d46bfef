"""Estimate how long the features of a run will take, before any network runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emms.errors import UnavailableError
from emms.hub import local_only
from emms.models import candidate
from emms.models.base import Size
from emms.run.references import Extracted
from emms.run.stage import Workspace

EFFICIENCY = 0.2
"""Speed of networks relative to that of a matrix product: on a CPU 0.1 (depthwise convolutions) to 0.4."""
_SIZE = 2048


def estimate(run: Workspace, missing: Sequence[Extracted]) -> str:
    """Return a sentence on how long it will take to compute missing features.

    Computed from the multiply-adds of each network per sample and the speed of a matrix product on this machine. Layers
    of one network share a forward pass.
    """
    networks = {
        str((item.key.network, item.key.preprocessing)) if item.key else item.model.unaliased_id.partition("@")[0]: item
        for item in missing
    }
    costs = [_multiply_adds(item, run) for item in networks.values()]
    work = sum(cost or 0 for cost in costs) * missing[0].samples.count
    unknown = sum(cost is None for cost in costs)
    rest = f", without {unknown} networks of unknown cost" if unknown else ""
    if not work:
        return "the time for features cannot be estimated"
    return f"features will take about {_duration(work / (EFFICIENCY * _speed(run.spec.device)))}{rest} (a rough guess)"


def _multiply_adds(item: Extracted, run: Workspace) -> int | None:
    """Return the multiply-adds of a network per sample; None if unknown, as of one whose configuration is not here."""
    try:
        with local_only():
            return Size(*candidate(item.model, run.store, run.task.inputs()).size()).multiply_adds
    except UnavailableError:
        return None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _speed(device: str) -> float:
    """Return the multiply-adds per second of a float32 matrix product."""
    if device == "cpu" or (device == "auto" and not list(Path("/dev").glob("nvidia*"))):
        matrix = np.ones((_SIZE, _SIZE), np.float32)
        matrix[:64] @ matrix  # the first product starts threads
        started = time.perf_counter()
        matrix @ matrix
        return _SIZE**3 / (time.perf_counter() - started)
    import torch

    from emms.hardware import choose_device

    tensor = torch.ones((_SIZE, _SIZE), device=choose_device(device))
    float((tensor[:64] @ tensor)[0, 0])
    started = time.perf_counter()
    for _ in range(8):
        product = tensor @ tensor
    float(product[0, 0])  # waits for the device
    return 8 * _SIZE**3 / (time.perf_counter() - started)
