"""Devices, memory, CPU cores, and allocator settings for inference."""

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

if TYPE_CHECKING:  # torch takes seconds to import, and a run that finds everything in the store does not need it
    import torch


def choose_device(name: str) -> torch.device:
    """Return the device with this name; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises EMMSError if the device is not available.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_available in available.items() if is_available))
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if not available.get(device.type, False) or (device.index or 0) >= count:
        devices = ", ".join(kind for kind, is_available in available.items() if is_available)
        raise EMMSError(f"device '{name}' is not available (available: {devices}); use `device: auto`")
    return device


def default_batch_size(device: torch.device) -> int:
    """Return the batch size: enough to fill a GPU; small on a CPU, so that activations fit into its caches."""
    return 16 if device.type == "cpu" else 128


def free_memory(device: torch.device) -> int:
    """Return the free memory of the device in bytes, or of the host if the device has no memory of its own."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # a container may be allowed less than the machine has
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, limit - used)
    return int(free)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next allocation of this process; does nothing on other systems.

    A forward pass on a CPU allocates and frees activations of megabytes, layer by layer. By default glibc returns each
    to the kernel, which zeroes new pages for the next one. On EfficientNet-Lite 0 this took half of the time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        if mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20):  # the limit of older versions
            mallopt(trim_threshold, 1 << 30)
