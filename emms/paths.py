"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _not_blank(path: Any) -> Any:
    # Path("") is the current folder, which is hardly what an empty setting, or an unset shell variable, means.
    if isinstance(path, str) and not path.strip():
        raise ValueError("is empty; name a file or a folder, or '.' for the current folder")
    return path


UserPath = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(Path.expanduser)]
"""A path, `~` expanded; an empty one is refused."""
