"""Full float32 precision and no autotuning while features are computed, so that they are the same on each GPU run.

By default cuDNN rounds the inputs of float32 convolutions to TF32 (10 bits of 23), and users allow the same for matrix
products. The device is not in the key of features, so they must not depend on either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_INHERITED = [("generic", "all"), ("cuda", "all"), ("mkldnn", "all")]
"""Settings of torch that apply to an operation which has none of its own."""
_OPERATIONS = [(backend, op) for backend in ("cuda", "mkldnn") for op in ("matmul", "conv", "rnn")]

_lock = threading.Lock()
_inside = 0
_restore: Callable[[], None] | None = None


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in full float32 and by fixed algorithms until the end of the block; then restore torch's settings.

    The settings are the process's: of several blocks at once in several threads, the last to end restores them.
    """
    global _inside, _restore
    with _lock:
        if not _inside:
            _restore = _switch()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _restore is not None:
                _restore()


def _switch() -> Callable[[], None]:
    """Change the settings, and return what restores them."""
    import torch

    cudnn = torch.backends.cudnn
    algorithms = cudnn.benchmark, cudnn.deterministic
    # torch has two interfaces to the same settings. Reading the older one raises if the newer one disagrees, so each is
    # left as consistent as it was found.
    tf32, matmul = _value(lambda: cudnn.allow_tf32), _value(torch.get_float32_matmul_precision)
    inherited = [_exchange(setting, "none") for setting in _INHERITED]  # from here on each operation shows its own
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
    """Set a precision, and return what it was."""
    import torch

    before = _precision(setting)
    torch._C._set_fp32_precision_setter(*setting, precision)
    return before


def _value(read: Callable[[], Any]) -> Any:
    """Return a setting of the older interface, or None if the newer one has made it ambiguous."""
    try:
        return read()
    except RuntimeError:
        return None
