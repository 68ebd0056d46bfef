"""Digests of files, taken once: a file is read again only when its size, times or inode have changed."""

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

# A file that is written twice within a tick of its file system's clock keeps its times. Two seconds is FAT's tick, the
# longest there is: what had not settled for as long when it was read is read again next time.
SETTLED_NS = 2_000_000_000
_CHUNK = 4096  # files handed to the threads at once, so that memory does not grow with their number
_FILE = "digests.parquet"
_SCHEMA = pl.Schema({"path": pl.String, "state": pl.String, "digest": pl.String})


class DigestsKey(Key):
    """The digests of the files of one folder, and of those below it."""

    kind: ClassVar[str] = "digests"
    version: ClassVar[int] = 1

    folder: str

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the table."""
        return (_FILE,)


# Within a process one call at a time: what one call reads, the next remembers.
_one_at_a_time = Lock()


class FileDigests:
    """SHA-256 digests of local files, remembered in the store under `digests/`, one table a folder of files.

    What is remembered is a convenience: if two processes write a table at a time, files are read again, no more.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.files_read = 0
        """How many files were read rather than remembered."""

    def __call__(self, paths: Sequence[str]) -> list[str]:
        """Return each file's digest, 64 hexadecimal digits, in the order of `paths`.

        Raises OSError if a file cannot be read, StoreError if the store cannot be written.
        """
        absolute = [os.path.abspath(path) for path in paths]
        if not absolute:
            return []
        with _one_at_a_time:
            digests = self._digests(sorted(set(absolute)))
        return [digests[path] for path in absolute]

    def _digests(self, paths: list[str]) -> dict[str, str]:
        stats = {path: os.stat(path) for path in paths}
        key = DigestsKey(folder=os.path.commonpath([os.path.dirname(path) for path in paths]))
        known = self._known(key)
        # A file that changes from here on gets another state, whether it is read before or after the change.
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
        """Return the state and the digest of each file remembered."""
        found = self._store.find(key)
        if found is None:
            return {}
        try:
            table = pl.DataFrame(found.table(_FILE))
            return {path: (state, digest) for path, state, digest in table.select(_SCHEMA.names()).rows()}
        except (DamagedError, pl.exceptions.PolarsError):  # or written anew since it was found
            return {}


def _state(stat: os.stat_result) -> str:
    """Return what changes when a file does. It is text since inodes may take all 64 bits."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def sha256_of(path: str) -> str:
    """Return a file's digest, 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
