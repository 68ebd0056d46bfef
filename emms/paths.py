"""Type of paths in settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _usable(path: Any) -> Any:
    # Path("") is the current folder, which an empty setting or shell variable is unlikely to mean.
    if isinstance(path, str) and not path.strip():
        raise ValueError("is empty; name a file or a folder, or '.' for the current folder")
    if "\0" in str(path):
        raise ValueError("has a null character, which no path can have; remove it")
    return path


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as cause:
        raise ValueError(f"is in the home folder of an unknown user, {path.parts[0]}; write it in full") from cause


UserPath = Annotated[Path, BeforeValidator(_usable), AfterValidator(_expanded)]
"""A path with `~` expanded; must not be empty or have null characters."""
