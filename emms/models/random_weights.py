"""The digest of an untrained control's weights, remembered, so that a run with nothing to compute draws none.

A seed alone does not determine them. timm decides how weights are initialised; torch draws normal numbers by one
routine on processors with AVX2 and by another without; Intel's MKL, which truncated normal numbers go through, chooses
its own by the processor. So all of that is part of what a digest is remembered under.
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

_one_at_a_time = threading.Lock()


def digest(architecture: str, seed: int) -> str:
    """Return the digest of the weights drawn for an architecture: remembered, or of a network built for it."""
    key = _key(architecture, seed)
    with _one_at_a_time:  # so that threads that ask for several layers of a network draw it once
        known = user_cache.read("random weights", key)
        if not isinstance(known, str):
            from emms.models import timm_build

            known = timm_build.digest(timm_build.draw(architecture, seed))
            user_cache.write("random weights", key, known)
    return known


def draw(architecture: str, seed: int, promised: str | None, shown_as: str) -> torch.nn.Module:
    """Return a network with random weights, of which features are about to be computed.

    promised: the digest that the features' address was made with; None: the one remembered here, if there is one.
    shown_as: what the model is called in messages.

    Raises ModelError if other weights were drawn than promised.
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
    """Return the environment variables that choose among the routines of torch and MKL."""
    return {name: value for name, value in os.environ.items() if name.startswith(("ATEN_CPU", "MKL_", "ONEDNN_"))}


@cache
def _processor() -> list[str]:
    """Return what tells this kind of machine from others: processor, system, C library."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:  # not Linux
        first = ""
    fields = (line.partition(":") for line in first.splitlines())
    known = sorted(f"{name.strip()}: {value.strip()}" for name, _, value in fields if name.strip() in _IDENTITY)
    return [platform.system(), platform.machine(), platform.processor(), "".join(platform.libc_ver()), *known]
