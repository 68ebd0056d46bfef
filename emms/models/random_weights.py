"""Digests of the random weights of untrained controls, cached, so that weights are drawn only if features are computed.

A seed alone does not determine the weights. They depend on timm's initialisation, on torch, which draws normal numbers
by different routines on processors with and without AVX2, and on Intel's MKL, which draws truncated normal numbers by
routines that depend on the processor. The cache key contains all of this.
"""

from __future__ import annotations

import os
import platform
import threading
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emms import user_cache
from emms.errors import ModelError

if TYPE_CHECKING:
    import torch

_IDENTITY = {
    *("vendor_id", "cpu family", "model", "model name", "flags"),  # x86
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),  # ARM
    "isa",  # RISC-V
}

_lock = threading.Lock()


def digest(architecture: str, seed: int) -> str:
    """Return the digest of the random weights of an architecture: cached, or of a network built to compute it."""
    key = _key(architecture, seed)
    with _lock:  # so that threads that need several layers of a network draw it once
        cached = user_cache.read("random weights", key)
        if not isinstance(cached, str):
            from emms.models import timm_build

            cached = timm_build.digest(timm_build.draw(architecture, seed))
            user_cache.write("random weights", key, cached)
    return cached


def draw(architecture: str, seed: int, promised: str | None, shown_as: str) -> torch.nn.Module:
    """Return a network with random weights.

    promised: the digest in the features' key; None: the cached one, if any.
    shown_as: the model's name in messages.

    Raises ModelError if the digest of the weights is not `promised`.
    """
    from emms.models import timm_build

    key = _key(architecture, seed)
    promised = promised or user_cache.read("random weights", key)
    network = timm_build.draw(architecture, seed)
    drawn = timm_build.digest(network)
    user_cache.write("random weights", key, drawn)
    if promised not in (None, drawn):
        raise ModelError(
            f"model '{shown_as}' has other random weights than its features are stored under: torch, timm or the "
            f"kind of processor differ from those of the process that planned the run; run it again, and on a "
            f"cluster run it on machines of one kind"
        )
    return network


def _key(architecture: str, seed: int) -> dict[str, Any]:
    versions = {package: version(package) for package in ("timm", "torch", "numpy")}
    return {"architecture": architecture, "seed": seed, **versions, "processor": _processor(), **_settings()}


def _settings() -> dict[str, str]:
    """Return the environment variables that select routines of torch and MKL."""
    return {name: value for name, value in os.environ.items() if name.startswith(("ATEN_CPU", "MKL_", "ONEDNN_"))}


@cache
def _processor() -> list[str]:
    """Return what identifies the kind of machine: processor, operating system, C library."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:  # not Linux
        first = ""
    fields = (line.partition(":") for line in first.splitlines())
    known = sorted(f"{name.strip()}: {value.strip()}" for name, _, value in fields if name.strip() in _IDENTITY)
    return [platform.system(), platform.machine(), platform.processor(), "".join(platform.libc_ver()), *known]
