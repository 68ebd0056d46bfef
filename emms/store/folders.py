"""Test that a folder can be created, then remove it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def removed_after(folder: Path) -> Iterator[None]:
    """Remove this folder and its parents at the end of the block, if they did not exist before and are empty."""
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        yield
    finally:
        for path in missing:  # innermost first
            with suppress(OSError):
                path.rmdir()
