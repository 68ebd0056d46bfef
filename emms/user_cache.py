"""A cache in the user's home folder for small values that are slow to compute and the same for all runs.

It is optional: if it cannot be written, or a file in it is damaged, values are computed again, once per process.
EMMS_CACHE sets another folder; the default is next to the caches of torch and Hugging Face.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_in_memory: dict[Path | str, Any] = {}


def folder() -> Path | None:
    """Return the cache folder: $EMMS_CACHE, else `emms` in $XDG_CACHE_HOME or ~/.cache; None without a home folder."""
    if path := os.environ.get("EMMS_CACHE"):
        return Path(path)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emms"
    except RuntimeError:
        return None


def read(kind: str, key: Mapping[str, Any]) -> Any | None:
    """Return the value that was written under a key (JSON), or None."""
    path = _path(kind, key)
    if path in _in_memory:
        return _in_memory[path]
    if isinstance(path, str):
        return None
    try:
        entry = json.loads(path.read_bytes())
        # The digest detects values that a full or failing disk has truncated.
        return entry["value"] if entry["key"] == key and entry["sha256"] == _digest(entry["value"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(kind: str, key: Mapping[str, Any], value: Any) -> None:
    """Store a value under a key (both JSON) in memory, and on disk if the cache folder can be written."""
    path = _path(kind, key)
    _in_memory[path] = value
    if isinstance(path, str):
        return
    draft = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"key": key, "value": value, "sha256": _digest(value)}))
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _path(kind: str, key: Mapping[str, Any]) -> Path | str:
    """Return the file of an entry; without a cache folder, a name that is used in memory only."""
    directory, name = folder(), f"{kind}/{_digest(key)[:32]}.json"
    return name if directory is None else directory / name


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
