"""The batches of CIFAR-10 and CIFAR-100, which are pickles with an array, read without running code in them."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
from functools import lru_cache
from typing import Any

import numpy as np

from emms.errors import DatasetError, printable
from emms.files import open_regular

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
# fmt: off
_OPCODES = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG",
    "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "DICT",
    "EMPTY_DICT", "SETITEM", "SETITEMS", "TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "PUT", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD",
})
# fmt: on
_MOST_TUPLES = 1000  # of each other, deeply nested, they would overflow the stack of the interpreter


def read_batch(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, (N, 32, 32, 3), uint8, and the labels, (N,), of a batch; cached until the file changes.

    Raises DatasetError, with the file, if it cannot be read or has anything but what the published batches have.
    """
    try:
        state = os.stat(path)
        return _parse(path, (state.st_size, state.st_mtime_ns, state.st_ino))
    except OSError as cause:
        raise DatasetError(f"'{path}' cannot be read: {cause.strerror or cause}; download it again") from cause


@lru_cache(maxsize=6)  # those of CIFAR-10
def _parse(path: str, state: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    with open_regular(path) as file:
        data = file.read()
    try:
        _check(data)
        batch = _Unpickler(io.BytesIO(data), encoding="latin1").load()
        images = batch["data"].array
        labels = np.array(batch["labels"] if "labels" in batch else batch["fine_labels"])
    except Exception as cause:  # the unpickler raises exceptions of many types for damaged data
        reason = f"{type(cause).__name__}: {printable(cause)}"
        raise DatasetError(f"'{path}' is not a batch of CIFAR ({reason}); download it again") from cause
    if labels.shape != (len(images),) or labels.dtype.kind != "i" or (labels < 0).any():
        raise DatasetError(f"'{path}' has {len(images)} images but not as many labels; download it again")
    return images.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1), labels


def _check(data: bytes) -> None:
    """Raise ValueError for an instruction that published batches lack, or that takes much more memory than the file."""
    tuples = 0
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in _OPCODES:
            raise ValueError(f"the instruction {opcode.name}")
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and (argument or 0) > len(data):
            raise ValueError("a stored object with too large a number")
        tuples += "TUPLE" in opcode.name
    if tuples > _MOST_TUPLES:
        raise ValueError("too many tuples")


class _Kind:
    """Stands for numpy's `ndarray`."""


class _Type:
    """Stands for numpy's `dtype`: only unsigned bytes."""

    def __init__(self, code: str, *_: Any) -> None:
        if code != "u1":
            raise ValueError(f"numbers of the kind {code}")

    def __setstate__(self, state: Any) -> None: ...


class _Array:
    """Stands for an array of images: `array` is (N, 3072), uint8."""

    def __init__(self, *_: Any) -> None:
        self.array = np.empty((0, _PIXELS), np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_major, content = state
        raw = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(kind, _Type) or column_major or len(shape) != 2 or shape[1] != _PIXELS:
            raise ValueError(f"an array of the shape {shape}")
        self.array = np.frombuffer(raw, np.uint8).reshape(shape)


def _encode(text: str, _: str) -> bytes:
    """Stands for `_codecs.encode`, with which Python 3 writes bytes in the protocol of Python 2."""
    return text.encode("latin1")


_NAMES: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.ndarray": _Kind,
    "numpy.dtype": _Type,
    "_codecs.encode": _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _NAMES:
            raise ValueError(f"the name {module}.{name}, which is not that of an array")
        return _NAMES[f"{module}.{name}"]
