"""Content-addressed artifacts, in Parquet, on any fsspec file system.

An artifact's address is a hash of everything that determines it. An artifact is complete if its manifest exists; the
manifest is written last, with the sizes and checksums of the files. If the manifest is missing, a file has another
size, or its checksum is wrong when it is read, the artifact counts as absent and is computed again: after a killed
process, a truncated upload or a flipped byte.

    <root>/<kind>/<first two of address>/<address>/manifest.json, *.parquet
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from emms.errors import StoreError
from emms.store.artifact import Artifact, Draft
from emms.store.folders import removed_after
from emms.store.keys import Key
from emms.store.manifest import NAME, FileEntry, Manifest

_NOT_FOUND = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class Store:
    """Artifacts under one fsspec URL: a folder, `s3://bucket/prefix`, `memory://`, …

    Raises StoreError if the URL's protocol is unknown or needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as cause:
            raise StoreError(
                f"store '{url}' cannot be opened: {cause}; give a folder or a URL such as s3://bucket/prefix"
            ) from cause

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.url,)  # connections cannot be pickled

    def check_writable(self) -> None:
        """Write a small file and remove it. Raises StoreError if that fails."""
        probe = f"{self.root}/.probe-{uuid.uuid4().hex}"
        try:
            with removed_after(Path(self.root)) if self._is_local else nullcontext():
                self.fs.makedirs(self.root, exist_ok=True)
                self.fs.pipe_file(probe, b"")
                self.fs.rm_file(probe)
        except Exception as cause:  # file systems raise errors of any type
            raise StoreError(
                f"store '{self.url}' cannot be written: {cause}; name another with `store:` or --store, "
                f"or fix its permissions"
            ) from cause

    def exists(self) -> bool:
        """Return whether the root of the store exists."""
        return bool(self.fs.exists(self.root))

    def path(self, key: Key) -> str:
        """Return the path of the artifact of this key, which need not exist."""
        address = key.address
        return f"{self.root}/{key.kind}/{address[:2]}/{address}"

    def find(self, key: Key) -> Artifact | None:
        """Return the artifact if it is complete, else None.

        Checks the manifest and the sizes of the files; their contents are verified when they are read.
        Raises StoreError if the file system cannot be read.
        """
        path = self.path(key)
        try:
            manifest = self._manifest(path)
            if manifest is None or not manifest.describes(key):
                return None
            if not all(self._has_size(f"{path}/{entry.file}", entry) for entry in manifest.files.values()):
                return None
        except _NOT_FOUND:
            return None
        except OSError as cause:
            raise StoreError(f"store '{self.url}' cannot be read: {cause}; check its permissions") from cause
        return Artifact(self, key, key.meta.model_validate(manifest.meta), manifest.files)

    @contextmanager
    def create(self, key: Key) -> Iterator[Draft]:
        """Write an artifact. It exists once the block has ended without an exception.

        If the block fails or is interrupted, its files are removed.
        Raises StoreError if the store cannot be written.
        """
        draft, path = Draft(self, key, key.meta.model_construct()), self.path(key)
        with self.writing():
            self.fs.makedirs(path, exist_ok=True)
        older = self._files(path)
        try:
            yield draft
            meta = draft.meta.model_dump(mode="json")
            manifest = Manifest(kind=key.kind, key=key.content, meta=meta, files=draft.files)
            if not manifest.describes(key):
                raise ValueError(f"an artifact of kind '{key.kind}' has {key.file_names()} and {key.meta.__name__}")
            with self.writing():
                self._replace(f"{path}/{NAME}", manifest.dump())
        except BaseException:
            draft.remove()
            raise
        for file in older:
            with suppress(OSError):
                self.fs.rm_file(f"{path}/{file}")

    def discard(self, artifact: Artifact) -> None:
        """Remove an artifact, unless it has been replaced."""
        path = self.path(artifact.key)
        with suppress(OSError):
            manifest = self._manifest(path)
            if manifest is not None and manifest.files == artifact.files:
                self.fs.rm_file(f"{path}/{NAME}")
                for entry in artifact.files.values():
                    self.fs.rm_file(f"{path}/{entry.file}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Convert errors of the file system in this block to StoreError."""
        try:
            yield
        except OSError as cause:
            raise StoreError(
                f"store '{self.url}' cannot be written: {cause}; free space, fix its permissions, or name another"
            ) from cause

    @property
    def _is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def _manifest(self, path: str) -> Manifest | None:
        return Manifest.parse(self.fs.cat_file(f"{path}/{NAME}"))

    def _has_size(self, path: str, entry: FileEntry) -> bool:
        return bool(self.fs.size(path) == entry.bytes)

    def _files(self, path: str) -> list[str]:
        """Return the files in the manifest, if there is a valid one."""
        try:
            manifest = self._manifest(path)
        except OSError:
            return []
        return [entry.file for entry in manifest.files.values()] if manifest else []

    def _replace(self, path: str, content: bytes) -> None:
        """Write a small file atomically. Object stores do that by themselves."""
        if not self._is_local:
            self.fs.pipe_file(path, content)
            return
        draft = f"{path}.{uuid.uuid4().hex}"
        try:
            self.fs.pipe_file(draft, content)
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                os.remove(draft)
            raise
