"""Digests of files, cached: a file is read again only if its size, times or inode have changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import ClassVar

import polars as pl

from emms.errors import DamagedError
from emms.store.keys import Key
from emms.store.store import Store

# A file that is written twice within the resolution of its file system's clock keeps its times. FAT has the coarsest
# one, two seconds: the digest of a file that was modified less than that ago is not cached.
SETTLED_NS = 2_000_000_000
_CHUNK = 4096  # files submitted to the threads at once, to bound memory
_FILE = "digests.parquet"
_SCHEMA = pl.Schema({"path": pl.String, "state": pl.String, "digest": pl.String})


class DigestsKey(Key):
    """Key of the digests of the files in one folder and below."""

    kind: ClassVar[str] = "digests"
    version: ClassVar[int] = 1

    folder: str

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the table."""
        return (_FILE,)


# One call at a time per process, so that the next call finds the digests of the previous one.
_lock = Lock()


class FileDigests:
    """SHA-256 digests of local files, cached in the store under `digests/`, one table per folder of files.

    If two processes write a table at the same time, some files are read again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.files_read = 0
        """Number of files that were read rather than found in the cache."""

    def __call__(self, paths: Sequence[str]) -> list[str]:
        """Return each file's digest, 64 hexadecimal digits, in the order of `paths`.

        Raises OSError if a file cannot be read, StoreError if the store cannot be written.
        """
        absolute = [os.path.abspath(path) for path in paths]
        if not absolute:
            return []
        with _lock:
            digests = self._digests(sorted(set(absolute)))
        return [digests[path] for path in absolute]

    def _digests(self, paths: list[str]) -> dict[str, str]:
        stats = {path: os.stat(path) for path in paths}
        key = DigestsKey(folder=os.path.commonpath([os.path.dirname(path) for path in paths]))
        known = self._known(key)
        # A file that changes from here on has another state the next time, whether it is read before or after.
        settled_before = time.time_ns() - SETTLED_NS
        digests = {path: known[path][1] for path in paths if path in known and known[path][0] == _state(stats[path])}
        unknown = [path for path in paths if path not in digests]
        digests |= self._read(unknown)
        settled = [p for p in unknown if max(stats[p].st_mtime_ns, stats[p].st_ctime_ns) < settled_before]
        if settled:
            kept = {path: entry for path, entry in known.items() if path in stats or os.path.exists(path)}
            kept |= {path: (_state(stats[path]), digests[path]) for path in settled}
            rows = [(path, state, digest) for path, (state, digest) in kept.items()]
            with self._store.create(key) as draft:
                draft.table(_FILE, pl.DataFrame(rows, _SCHEMA, orient="row").to_arrow())
        return digests

    def _read(self, paths: list[str]) -> dict[str, str]:
        self.files_read += len(paths)
        digests: dict[str, str] = {}
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(paths), _CHUNK):
                chunk = paths[start : start + _CHUNK]
                digests.update(zip(chunk, pool.map(sha256_of, chunk), strict=True))
        return digests

    def _known(self, key: DigestsKey) -> dict[str, tuple[str, str]]:
        """Return the state and the digest of each cached file."""
        artifact = self._store.find(key)
        if artifact is None:
            return {}
        try:
            table = pl.DataFrame(artifact.table(_FILE))
            return {path: (state, digest) for path, state, digest in table.select(_SCHEMA.names()).rows()}
        except (DamagedError, pl.exceptions.PolarsError):  # damaged, or replaced in the meantime
            return {}


def _state(stat: os.stat_result) -> str:
    """Return a string that changes when a file does; not integers, since inodes may have 64 unsigned bits."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def sha256_of(path: str) -> str:
    """Return a file's digest, 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
