"""Digests of the random weights of untrained controls, cached, so that weights are drawn only if features are computed.

A seed alone does not determine the weights. They depend on the library's initialisation, on torch, which draws normal
numbers by different routines on processors with and without AVX2, and on Intel's MKL, which draws truncated normal
numbers by routines that depend on the processor. The cache key contains all of this.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emms import user_cache
from emms.errors import ModelError

if TYPE_CHECKING:
    import torch

_IDENTITY = {
    *("vendor_id", "cpu family", "model", "model name", "flags"),  # x86
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),  # ARM
    "isa",  # RISC-V
}

_lock, _building_lock = threading.Lock(), threading.RLock()


class Control(NamedTuple):
    """A network with random weights."""

    identity: dict[str, Any]
    """Its architecture, as JSON: with the seed, and apart from the machine, what determines the weights."""
    packages: tuple[str, ...]
    """The packages whose versions may change the weights, besides torch and numpy."""
    seed: int
    draw: Callable[[], torch.nn.Module]
    """Builds the network, with whatever random numbers torch returns."""


def digest(control: Control) -> str:
    """Return the digest of a control's random weights: cached, or of a network built to compute it."""
    key = _key(control)
    with _lock:  # so that threads that need several layers of a network draw it once
        cached = user_cache.read("random weights", key)
        if not isinstance(cached, str):
            cached = digest_of(_drawn(control))
            user_cache.write("random weights", key, cached)
    return cached


def draw(control: Control, promised: str | None, shown_as: str) -> torch.nn.Module:
    """Return a network with random weights.

    promised: the digest in the features' key; None: the cached one, if any.
    shown_as: the model's name in messages.

    Raises ModelError if the digest of the weights is not `promised`.
    """
    key = _key(control)
    promised = promised or user_cache.read("random weights", key)
    network = _drawn(control)
    drawn = digest_of(network)
    user_cache.write("random weights", key, drawn)
    if promised not in (None, drawn):
        raise ModelError(
            f"model '{shown_as}' has other random weights than its features are stored under: the packages "
            f"({', '.join(('torch', *control.packages))}) or the kind of processor differ from those of the process "
            f"that planned the run; run it again, and on a cluster run it on machines of one kind"
        )
    return network


def digest_of(module: torch.nn.Module) -> str:
    """Return the SHA-256 of a network's parameters and buffers: names, types, shapes and bytes, sorted by name."""
    import torch

    sha256 = hashlib.sha256()
    tensors = chain(module.named_parameters(), module.named_buffers())
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        sha256.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha256.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


@contextmanager
def building() -> Iterator[None]:
    """Build networks one at a time, since random weights use torch's global generator, and restore it afterwards."""
    import torch

    with _building_lock, torch.random.fork_rng(devices=[]):
        yield


def _drawn(control: Control) -> torch.nn.Module:
    import torch

    with building():
        torch.default_generator.manual_seed(control.seed)
        return control.draw().eval()


def _key(control: Control) -> dict[str, Any]:
    versions = {package: version(package) for package in (*control.packages, "torch", "numpy")}
    return {**control.identity, "seed": control.seed, **versions, "processor": _processor(), **_settings()}


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
