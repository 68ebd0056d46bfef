"""Content-addressed artifacts, in Parquet, on any fsspec file system.

An artifact's address is a hash of what determines it, so the same question always has the same address. It is complete
when its manifest is there; the manifest is written last, with the row counts and checksums of the files. Whoever finds
no manifest, or a file whose checksum is off, treats the artifact as absent and computes it again: a killed process, a
truncated upload and a flipped byte all end in the same place.

    <root>/<kind>/<first two of address>/<address>/manifest.json, *.parquet
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from emms.errors import StoreError
from emms.store.folders import on_trial

MANIFEST = "manifest.json"
Key = Mapping[str, Any]
"""What determines an artifact, as JSON: references, digests, settings, and the version of the code that makes it."""


def address(key: Key) -> str:
    """Return the address of what `key` determines: 32 hexadecimal digits of the SHA-256 of its canonical JSON."""
    return _digest(key)[:32]


@dataclass(frozen=True)
class Artifact:
    """A complete artifact: the `key` that determines it, and in `meta` what its maker noted about it (JSON)."""

    store: Store
    path: str
    key: dict[str, Any]
    meta: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def table(self, name: str) -> pa.Table:
        """Read one of the artifact's files whole."""
        with self.store.fs.open(f"{self.path}/{self.files[name]['file']}", "rb") as file:
            return pq.read_table(file)

    def batches(self, name: str) -> Iterator[pa.Table]:
        """Read one of the artifact's files a row group at a time, so that memory stays bounded."""
        with self.store.fs.open(f"{self.path}/{self.files[name]['file']}", "rb") as file:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                yield parquet.read_row_group(group)


@dataclass
class Draft:
    """An artifact being written: add files with `table`, put what is worth knowing about it into `meta`."""

    store: Store
    path: str
    meta: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def table(self, name: str, table: pa.Table, row_group_rows: int | None = None) -> None:
        """Write a table as one file, in row groups of at most so many rows. Raises StoreError."""
        # A name of its own each time: nobody who reads an older file of this artifact sees it change.
        stem, dot, suffix = name.rpartition(".")
        file_name = f"{stem}-{uuid.uuid4().hex[:8]}{dot}{suffix}"
        with self.store.writing(), self.store.fs.open(f"{self.path}/{file_name}", "wb") as file:
            hashing = _HashingFile(file)
            # Floats are noise to a compressor, and read back without a copy when they are stored plain.
            pq.write_table(
                table,
                pa.PythonFile(hashing, "w"),
                compression="none",
                use_dictionary=False,
                row_group_size=row_group_rows or max(1, table.num_rows),
            )
        self.files[name] = {
            "file": file_name,
            "rows": table.num_rows,
            "bytes": hashing.bytes,
            "sha256": hashing.sha256.hexdigest(),
        }


class Store:
    """Artifacts under one fsspec URL: a folder, `s3://bucket/prefix`, `memory://`, …

    Raises StoreError when the URL's protocol is unknown or needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as cause:
            raise StoreError(
                f"store '{url}' cannot be opened: {cause}; give a folder or a URL such as s3://bucket/prefix"
            ) from cause
        # What was found whole is not read again by this process, as long as the file system says it is the same file.
        self._whole: dict[str, tuple[str, ...]] = {}

    def check_writable(self) -> None:
        """Write a small file and remove it. Raises StoreError if that fails."""
        probe = f"{self.root}/.probe-{uuid.uuid4().hex}"
        try:
            with on_trial(Path(self.root)) if isinstance(self.fs, LocalFileSystem) else nullcontext():
                self.fs.makedirs(self.root, exist_ok=True)
                self.fs.pipe_file(probe, b"")
                self.fs.rm_file(probe)
        except Exception as cause:  # each file system has errors of its own
            raise StoreError(
                f"store '{self.url}' cannot be written: {cause}; name another with `store:` or --store, "
                f"or mend its permissions"
            ) from cause

    def exists(self) -> bool:
        """Say whether anything has been written there."""
        return bool(self.fs.exists(self.root))

    def path(self, kind: str, key: Key) -> str:
        """Return where the artifact of this kind and key lies, or would lie."""
        where = address(key)
        return f"{self.root}/{kind}/{where[:2]}/{where}"

    def find(self, kind: str, key: Key) -> Artifact | None:
        """Return the artifact if it is complete and whole, None otherwise."""
        path = self.path(kind, key)
        try:
            manifest = self._manifest(path)
            files, meta = manifest["files"], manifest["meta"]
            if manifest["key"] != json.loads(json.dumps(key)) or manifest.pop("sha256") != _digest(manifest):
                return None
            state = tuple(str(self.fs.ukey(f"{path}/{entry['file']}")) for entry in files.values())
            if self._whole.get(path) != state:
                for entry in files.values():
                    if self._sha256(f"{path}/{entry['file']}") != entry["sha256"]:
                        return None
                self._whole[path] = state
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Artifact(self, path, manifest["key"], meta, files)

    @contextmanager
    def create(self, kind: str, key: Key) -> Iterator[Draft]:
        """Write an artifact. It comes to be when the block ends without an exception, and not before.

        Raises StoreError if the file system refuses.
        """
        draft = Draft(self, self.path(kind, key))
        with self.writing():
            self.fs.makedirs(draft.path, exist_ok=True)
        older = self._files(draft.path)
        yield draft
        manifest = {"kind": kind, "key": key, "meta": draft.meta, "files": draft.files}
        manifest["sha256"] = _digest(manifest)
        with self.writing():
            self._replace(f"{draft.path}/{MANIFEST}", json.dumps(manifest, indent=1, sort_keys=True).encode())
        for file in older:
            with suppress(OSError):
                self.fs.rm_file(f"{draft.path}/{file}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what a file system raises on writing into a StoreError."""
        try:
            yield
        except OSError as cause:
            raise StoreError(
                f"store '{self.url}' cannot be written: {cause}; free space, mend its permissions, or name another"
            ) from cause

    def _manifest(self, path: str) -> dict[str, Any]:
        manifest = json.loads(self.fs.cat_file(f"{path}/{MANIFEST}"))
        if not isinstance(manifest, dict):
            raise ValueError("a manifest is a mapping")
        return manifest

    def _files(self, path: str) -> list[str]:
        """Return the files of the artifact that lies there now, whole or not."""
        try:
            return [entry["file"] for entry in self._manifest(path)["files"].values()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def _replace(self, path: str, content: bytes) -> None:
        """Write a small file so that a reader sees the old one or the new one. An object store does that by itself."""
        if not isinstance(self.fs, LocalFileSystem):
            self.fs.pipe_file(path, content)
            return
        draft = f"{path}.{uuid.uuid4().hex}"
        self.fs.pipe_file(draft, content)
        os.replace(draft, path)

    def _sha256(self, path: str) -> str:
        with self.fs.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


_OPEN: dict[tuple[Any, str], Store] = {}


def open_store(url: str) -> Store:
    """Return this process's Store of a place, one and the same each time, so that what was verified stays known."""
    store = Store(url)
    return _OPEN.setdefault((store.fs.protocol, store.root), store)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class _HashingFile:
    """A file open for writing that hashes what passes through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256, self.bytes, self.closed = file, hashlib.sha256(), 0, False

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.bytes += len(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        """Whoever opened the file closes it."""
