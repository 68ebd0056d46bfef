"""Read checkpoint files without executing code, and find the network's tensors in them. Needs torch.

The format, safetensors or that of `torch.save`, is recognised by content, not by file name. Tensors in nested
dictionaries get names such as `state_dict/model.conv1.weight`, with a slash after the name of each dictionary.
"""

from __future__ import annotations

import os
import pickle
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from emms.errors import ModelError, shortened

Tensors = dict[str, torch.Tensor]

_CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
"""Keys under which training frameworks store weights, averaged ones first, as in timm."""
_WRAPPED = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")
"""Parts that torch.compile, FSDP and activation checkpointing insert into names."""
_DEPTH = 8  # of nested dictionaries
_MAX_CACHED = 64  # files; they are memory-mapped, so that they take only page cache

_safe_globals_lock = threading.Lock()
_cached: dict[tuple[str, tuple[int, ...]], Tensors] = {}


def read_weights(path: Path) -> Tensors:
    """Return the tensors of a file by name, in the order of the file.

    Raises ModelError if it cannot be read, is not a checkpoint, or contains no tensors.
    """
    tensors = _cached.pop(_state(path), None)
    return _read(path) if tensors is None else tensors


def cache_tensors(path: Path, tensors: Tensors) -> None:
    """Cache tensors for the next `read_weights` of the same unchanged file, if they are memory-mapped."""
    if not _is_mapped(path):
        return
    while len(_cached) >= _MAX_CACHED:
        _cached.pop(next(iter(_cached)))
    _cached[_state(path)] = tensors


def find_network(tensors: Tensors, expected: Collection[str], what: str) -> str:
    """Return the prefix of the names of a network's tensors in a checkpoint; may be empty.

    expected: the names in the network's state dict.
    what: the file's name in messages.

    If the file contains a network and its moving average, the average is used. Raises ModelError if it contains several
    networks otherwise.
    """
    counts = Counter(prefix for name in tensors for prefix, rest in _splits(name) if rest in expected)
    most = max(counts.values(), default=0)
    if 2 * most < len(expected):  # it may be in the format of another library, which timm may convert
        return _usual_prefix(tensors)
    prefixes = [prefix for prefix, count in counts.items() if count >= 0.9 * most]
    if len(prefixes) > 1:
        prefixes = [prefix for prefix in prefixes if "ema" in re.split(r"[._/]", prefix)] or prefixes
    if any(not _same(tensors, prefixes[0], other) for other in prefixes[1:]):
        raise ModelError(
            f"{what} contains {len(prefixes)} networks, under {' and '.join(repr(prefix) for prefix in prefixes)}; "
            f"save the state dict of one of them"
        )
    return prefixes[0]


def under(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names have the prefix, with the prefix removed."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def published(tensors: Tensors) -> Tensors:
    """Return the tensors of a published file, whose names are right but may be inside a dictionary."""
    return under(tensors, _container(tensors))


def check_values(tensors: Tensors, expected: Mapping[str, torch.Tensor], what: str) -> None:
    """Raise ModelError if a tensor is not dense, has integers where floats are expected, or contains nan."""
    broken: list[str] = []
    for name, tensor in tensors.items():
        dense = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
        floats = tensor.is_floating_point()
        if not dense or (not floats and name in expected and expected[name].is_floating_point()):
            kind = str(tensor.dtype).removeprefix("torch.") if dense else "sparse, quantized or no"
            raise ModelError(f"{what} has {kind} values in '{name}'; save its state dict as dense floats")
        if floats:
            values = tensor if tensor.element_size() > 1 else tensor.float()  # isfinite does not know float8
            if not values.isfinite().all():
                broken.append(f"{int((~values.isfinite()).sum())} of '{name}'")
    if broken:
        raise ModelError(
            f"{what} contains nan or infinity in {_count(broken, 'tensor')} (first: values {broken[0]}); "
            f"use a checkpoint from before the training diverged"
        )


def differences(tensors: Tensors, expected: Mapping[str, torch.Tensor]) -> str:
    """Return text on how names and shapes differ from a network's, with the first few tensors of each kind."""
    shapes = [
        f"'{name}' of shape {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    kinds = {
        "lacks": [f"'{name}'" for name in expected if name not in tensors],
        "has other shapes in": shapes,
        "has in excess": [f"'{name}'" for name in tensors if name not in expected],
    }
    return ", ".join(
        f"{verb} {_count(names, 'tensor')} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for verb, names in kinds.items()
        if names
    )


def _read(path: Path) -> Tensors:
    try:
        with path.open("rb") as file:
            head = file.read(32)
        content = _load(path, head)
        tensors = {_WRAPPED.sub("", name): tensor for name, tensor in _flat(content, "", 0)}
    except ModelError:
        raise
    except Exception as cause:  # damaged files raise errors of many types
        raise _unreadable(path, _reason(path, cause)) from cause
    if not tensors:
        raise _unreadable(path, "it contains no named tensors")
    return tensors


def _load(path: Path, head: bytes) -> Any:
    if not head:
        raise ModelError(f"checkpoint '{path}' is an empty file; save or copy it again")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError(f"checkpoint '{path}' is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    if head[8:9] == b"{":
        return safetensors.torch.load_file(path)
    if head.startswith(b"PK"):
        if not zipfile.is_zipfile(path):  # its directory is at the end
            raise ModelError(f"checkpoint '{path}' is cut off; copy or download it again")
        return _load_archive(path)
    if head.startswith(b"\x80"):  # before torch 1.6
        return torch.load(path, map_location="cpu", weights_only=True)
    raise _unreadable(path, "it is neither a safetensors file nor one written by torch.save")


class _Placeholder:
    """Replaces an object that is not a tensor, such as a configuration. Ignores all arguments."""

    def __new__(cls, *_: Any, **__: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> _Placeholder:
        return self

    def __setstate__(self, state: Any) -> None: ...


def _load_archive(path: Path) -> Any:
    """Load a file written by torch.save, with placeholders for Python objects other than tensors.

    Checkpoints of Lightning and of timm's training script contain settings, paths and numpy scalars. Every name that
    torch does not consider safe is replaced by the placeholder, so nothing is imported or called.
    """
    with _safe_globals_lock, path.open("rb") as file:  # safe_globals applies to the whole process
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        file.seek(0)
        mapped = _is_mapped(path)
        with torch.serialization.safe_globals([(_Placeholder, name) for name in names]):
            return torch.load(path if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)


def _is_mapped(path: Path) -> bool:
    """Return whether a file's tensors are memory-mapped."""
    with path.open("rb") as file:
        head = file.read(2)
    # torch only maps paths, takes the format from the file name, and cannot map files of versions before 1.6.
    return not head.startswith(b"\x80") and not (head == b"PK" and path.suffix == ".safetensors")


def _flat(content: Any, prefix: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, dict) and depth < _DEPTH:
        for key, value in content.items():
            if isinstance(value, torch.Tensor) and isinstance(key, str):
                yield prefix + key, value.detach()
            elif isinstance(value, dict):
                yield from _flat(value, f"{prefix}{key}/", depth + 1)


def _reason(path: Path, cause: Exception) -> str:
    """Return why a file cannot be read, without torch's advice to unpickle it unsafely."""
    if not isinstance(cause, pickle.UnpicklingError) and "weights_only" not in str(cause):
        return shortened(cause)
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:  # not an archive
        names = re.findall(r"GLOBAL (\S+)", str(cause))
    return f"it contains Python objects ({', '.join(names[:3])})" if names else "it is a pickle of more than tensors"


def _unreadable(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"checkpoint '{path}' cannot be read as weights alone: {reason}; save the state dict with "
        f"safetensors.torch.save_file(model.state_dict(), 'mine.safetensors')"
    )


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield all splits of a name into a prefix and the rest."""
    yield "", name
    for separator in re.finditer(r"[./]", name):
        yield name[: separator.end()], name[separator.end() :]


def _usual_prefix(tensors: Tensors) -> str:
    """Return the prefix of weights in an unknown format: their dictionary, and the common prefix of all names."""
    container = _container(tensors)
    names = [name for name in tensors if name.startswith(container)]
    if len(names) == 1:
        return container
    return max((prefix for prefix, _ in _splits(names[0]) if all(n.startswith(prefix) for n in names)), key=len)


def _container(tensors: Tensors) -> str:
    """Return the prefix of the dictionary that usually contains weights; empty if the file is itself a state dict."""
    present = {name.partition("/")[0]: None for name in tensors if "/" in name}
    usual = next((container for container in _CONTAINERS if container in present), None)
    if usual is None and all("/" in name for name in tensors):
        usual = next(iter(present))
    return "" if usual is None else f"{usual}/"


def _same(tensors: Tensors, a: str, b: str) -> bool:
    """Return whether two prefixes refer to the same tensors, such as two attributes for one module."""
    under_a, under_b = under(tensors, a), under(tensors, b)
    return under_a.keys() == under_b.keys() and all(
        under_a[name].data_ptr() == under_b[name].data_ptr() for name in under_a
    )


def _state(path: Path) -> tuple[str, tuple[int, ...]]:
    try:
        stat = os.stat(path)
    except OSError:
        return str(path), ()
    return str(path.absolute()), (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
