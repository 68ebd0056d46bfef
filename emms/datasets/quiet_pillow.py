"""Silence Pillow's warnings per thread, without changing the warning filters of the process.

Pillow warns about images of more than 89 million pixels, about damaged EXIF blocks and the like. Filters and
`warnings.catch_warnings` apply to all threads. Therefore Pillow's modules get a replacement for the module `warnings`,
which is silent only in a thread that is inside `quiet_pillow()`.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from PIL import Image


class _ThisThread(threading.local):
    quiet = False


_this_thread = _ThisThread()


class _Warnings:
    """The module `warnings`, with a `warn` that does nothing in quiet threads."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: Any, category: Any = None, stacklevel: int = 1, **options: Any) -> None:
        if not _this_thread.quiet:
            warnings.warn(message, category, stacklevel + 1, **options)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings in this thread only."""
    _install()
    previous, _this_thread.quiet = _this_thread.quiet, True
    try:
        yield
    finally:
        _this_thread.quiet = previous


@cache
def _install() -> None:
    Image.init()  # imports all of Pillow's readers
    replacement = _Warnings()
    for name, module in list(sys.modules.items()):
        if name.startswith("PIL.") and getattr(module, "warnings", None) is warnings:
            module.warnings = replacement  # type: ignore[attr-defined]
