"""Reading images without Pillow's warnings, and without touching the warning filters of the process.

Pillow warns about images of more than 89 million pixels, about damaged EXIF blocks and the like. Filters and
`warnings.catch_warnings` apply to all threads at once. So Pillow's modules get a stand-in for the module `warnings`,
which is silent only in a thread that is inside `quiet_pillow()`; for everyone else nothing changes.
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
    before, _this_thread.quiet = _this_thread.quiet, True
    try:
        yield
    finally:
        _this_thread.quiet = before


@cache
def _install() -> None:
    Image.init()  # imports all of Pillow's readers
    stand_in = _Warnings()
    for name, module in list(sys.modules.items()):
        if name.startswith("PIL.") and getattr(module, "warnings", None) is warnings:
            module.warnings = stand_in  # type: ignore[attr-defined]
