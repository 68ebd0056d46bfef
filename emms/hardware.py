"""What the machine offers: devices, cores, and an allocator that suits inference."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from emms.errors import EMMSError

if TYPE_CHECKING:  # it takes seconds to import, and a run that finds all in the store has no use for it
    import torch


def choose_device(name: str) -> torch.device:
    """Return the device of that name; `auto` takes CUDA, else Apple's MPS, else the CPU.

    Raises EMMSError if the device is not there.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if not available.get(device.type, False) or (device.index or 0) >= count:
        there = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise EMMSError(f"device '{name}' is not there (there is: {there}); use `device: auto`")
    return device


def default_batch_size(device: torch.device) -> int:
    """Return images a forward pass: enough to fill a GPU; on a CPU few, so that activations stay near the caches."""
    return 16 if device.type == "cpu" else 128


def free_memory(device: torch.device) -> int:
    """Return how many bytes are free on the device, or on the machine where the device has none of its own."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # a container may be allowed less than the machine has
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, limit - used)
    return int(free)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def keep_freed_memory() -> None:
    """Have glibc keep large freed blocks for the next allocation of this process; elsewhere do nothing.

    A forward pass on a CPU allocates and frees activations of megabytes, layer by layer. By default glibc gives each
    back to the kernel, which zeroes fresh pages for the next one: measured on EfficientNet-Lite 0, half of the time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        if mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20):  # older versions take no more
            mallopt(trim_threshold, 1 << 30)
