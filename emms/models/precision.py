"""Full float32 precision and no autotuning while features are computed, so that GPU runs are reproducible.

By default cuDNN rounds the inputs of float32 convolutions to TF32 (10 bits of 23), and users can enable the same for
matrix products. Features must not depend on this, since the device is not in their key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_INHERITED = [("generic", "all"), ("cuda", "all"), ("mkldnn", "all")]
"""Settings of torch that apply to operations without a setting of their own."""
_OPERATIONS = [(backend, op) for backend in ("cuda", "mkldnn") for op in ("matmul", "conv", "rnn")]

_lock = threading.Lock()
_active = 0
_restore: Callable[[], None] | None = None


@contextmanager
def full_precision() -> Iterator[None]:
    """Use full float32 precision and fixed algorithms in this block, then restore torch's settings.

    The settings apply to the whole process: if several threads are in such blocks, the last one to leave restores them.
    """
    global _active, _restore
    with _lock:
        if not _active:
            _restore = _switch()
        _active += 1
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active and _restore is not None:
                _restore()


def _switch() -> Callable[[], None]:
    """Change the settings, and return a function that restores them."""
    import torch

    cudnn = torch.backends.cudnn
    algorithms = cudnn.benchmark, cudnn.deterministic
    # torch has two interfaces to the same settings. Reading the older one raises if the newer one disagrees, so both
    # are saved and restored.
    tf32, matmul = _value(lambda: cudnn.allow_tf32), _value(torch.get_float32_matmul_precision)
    inherited = [_exchange(setting, "none") for setting in _INHERITED]  # so that each operation shows its own setting
    own = [_precision(setting) for setting in _OPERATIONS]

    cudnn.benchmark, cudnn.deterministic = False, True
    cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    for setting in _OPERATIONS:
        _exchange(setting, "ieee")

    def restore() -> None:
        cudnn.benchmark, cudnn.deterministic = algorithms
        if tf32 is not None:
            cudnn.allow_tf32 = tf32
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        for setting, precision in zip(_OPERATIONS + _INHERITED, own + inherited, strict=True):
            _exchange(setting, precision)

    return restore


def _precision(setting: tuple[str, str]) -> str:
    import torch

    return torch._C._get_fp32_precision_getter(*setting)


def _exchange(setting: tuple[str, str], precision: str) -> str:
    """Set a precision, and return the previous one."""
    import torch

    previous = _precision(setting)
    torch._C._set_fp32_precision_setter(*setting, precision)
    return previous


def _value(read: Callable[[], Any]) -> Any:
    """Return a setting of the older interface, or None if the newer one has made it ambiguous."""
    try:
        return read()
    except RuntimeError:
        return None
