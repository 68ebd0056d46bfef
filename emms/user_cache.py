"""A cache in the user's home for small facts that are slow to find out and the same for all runs.

It is a convenience: if it cannot be written, or a file in it is damaged, facts are found out again, once a process, and
nothing else happens. EMMS_CACHE names another folder; by default it lies where the caches of torch and Hugging Face do.
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

_of_this_process: dict[Path | str, Any] = {}


def folder() -> Path | None:
    """Return where the cache is: $EMMS_CACHE, else `emms` in $XDG_CACHE_HOME or ~/.cache; None without a home."""
    if own := os.environ.get("EMMS_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emms"
    except RuntimeError:
        return None


def read(kind: str, key: Mapping[str, Any]) -> Any | None:
    """Return what was written under a key (JSON), or None."""
    path = _path(kind, key)
    if path in _of_this_process:
        return _of_this_process[path]
    if isinstance(path, str):
        return None
    try:
        entry = json.loads(path.read_bytes())
        # The value's digest finds what a full disk or a failing one has left of it.
        return entry["value"] if entry["key"] == key and entry["sha256"] == _digest(entry["value"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(kind: str, key: Mapping[str, Any], value: Any) -> None:
    """Remember a value under a key (both JSON): in this process, and beyond it if the cache can be written."""
    path = _path(kind, key)
    _of_this_process[path] = value
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
    """Return the file of an entry; without a folder, a name for this process alone."""
    where, name = folder(), f"{kind}/{_digest(key)[:32]}.json"
    return name if where is None else where / name


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
