"""Digests of files, taken once: a file is read again only when its size, times or inode have changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from emms.store import Store

# A file changed within the resolution of the clock after it was read could keep its times; such an entry is not kept.
_SETTLED_NS = 2_000_000_000
_STATE = ["size", "mtime", "ctime", "inode"]


class FileDigests:
    """SHA-256 digests of local files, remembered in the store under `digests/`, one table a folder of files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, paths: Sequence[str]) -> list[str]:
        """Return each file's digest, 64 hexadecimal digits, in the order of `paths`.

        Raises OSError if a file cannot be read.
        """
        unique = sorted({os.path.abspath(p) for p in paths})
        if not unique:
            return []
        stats = [os.stat(p) for p in unique]
        files = pl.DataFrame(
            {
                "path": unique,
                "size": [s.st_size for s in stats],
                "mtime": [s.st_mtime_ns for s in stats],
                "ctime": [s.st_ctime_ns for s in stats],
                "inode": [s.st_ino for s in stats],
            }
        )
        key = {"digests": os.path.commonpath([os.path.dirname(p) for p in unique])}
        known = self._known(key)
        files = files.join(known, on=["path", *_STATE], how="left")
        unknown = files.filter(pl.col("digest").is_null())["path"].to_list()
        if unknown:
            started = time.time_ns()
            with ThreadPoolExecutor() as pool:
                read = dict(zip(unknown, pool.map(_sha256, unknown), strict=True))
            files = files.with_columns(pl.col("digest").fill_null(pl.col("path").replace_strict(read, default=None)))
            settled = files.filter(pl.max_horizontal("mtime", "ctime") < started - _SETTLED_NS)
            table = pl.concat([known.join(files, on="path", how="anti"), settled])
            with self._store.create("digests", key) as draft:
                draft.table("digests.parquet", table.to_arrow())
        by_path = dict(zip(files["path"], files["digest"], strict=True))
        return [by_path[os.path.abspath(p)] for p in paths]

    def _known(self, key: dict[str, str]) -> pl.DataFrame:
        found = self._store.find("digests", key)
        if found is None:
            schema = {"path": pl.String, **dict.fromkeys(_STATE, pl.Int64), "digest": pl.String}
            return pl.DataFrame(schema=schema)
        return pl.DataFrame(found.table("digests.parquet"))


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
