"""Artifacts of the store: complete (`Artifact`), or being written (`Draft`)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from emms.errors import DamagedError, StoreError
from emms.store.keys import Key
from emms.store.manifest import FileEntry

if TYPE_CHECKING:
    from emms.store.store import Store


@dataclass(frozen=True)
class Artifact:
    """A complete artifact. Its files are verified when they are read, not before."""

    store: Store
    key: Key
    meta: Any
    """Metadata, of the type `key.meta`."""
    files: dict[str, FileEntry]

    def table(self, name: str) -> pa.Table:
        """Read one of the artifact's files completely, and verify its checksum.

        Raises DamagedError if the file is not as it was written, after which the artifact counts as absent,
        and StoreError if the file cannot be read.
        """
        entry = self.files[name]
        path = f"{self.store.path(self.key)}/{entry.file}"
        try:
            content = self.store.fs.cat_file(path)
            if hashlib.sha256(content).hexdigest() == entry.sha256:
                return pq.read_table(pa.BufferReader(content))
        except FileNotFoundError:
            pass
        except (pa.ArrowException, ValueError):  # the checksum is right, but the file is not Parquet
            pass
        except OSError as cause:
            raise StoreError(f"store '{self.store.url}' cannot be read: {cause}; check its permissions") from cause
        raise self.damaged()

    def row_groups(self, name: str) -> Iterator[pa.Table]:
        """Read one of the artifact's files, and yield its row groups, so that memory does not grow with the file.

        The checksum is verified first, so the file is read twice. Raises the errors of `table`.
        """
        entry = self.files[name]
        path = f"{self.store.path(self.key)}/{entry.file}"
        try:
            with self.store.fs.open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    raise self.damaged()
            with self.store.fs.open(path, "rb") as file:
                groups = pq.ParquetFile(file)
                for group in range(groups.num_row_groups):
                    yield groups.read_row_group(group)
        except (FileNotFoundError, pa.ArrowException, ValueError) as cause:
            if isinstance(cause, DamagedError):
                raise
            raise self.damaged() from cause
        except OSError as cause:
            raise StoreError(f"store '{self.store.url}' cannot be read: {cause}; check its permissions") from cause

    def damaged(self) -> DamagedError:
        """Discard the artifact, and return the error to raise."""
        self.store.discard(self)
        return DamagedError(
            f"an artifact of kind '{self.key.kind}' in store '{self.store.url}' is damaged; run again to compute it"
        )


@dataclass
class Draft:
    """An artifact being written: add files with `table`, and set `meta`."""

    store: Store
    key: Key
    meta: Any = None
    files: dict[str, FileEntry] = field(default_factory=dict)
    _written: list[str] = field(default_factory=list)

    def table(self, name: str, table: pa.Table, row_group_rows: int | None = None) -> None:
        """Write a table as one file, in row groups of at most `row_group_rows` rows. Raises StoreError."""
        with self.row_groups(name, table.schema) as write:
            rows = row_group_rows or max(1, table.num_rows)
            for start in range(0, max(1, table.num_rows), rows):
                write(table.slice(start, rows))

    @contextmanager
    def row_groups(self, name: str, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
        """Write one file of the artifact row group by row group, each by a call of the function that this yields.

        Raises StoreError.
        """
        # A new name each time, so that files that others are reading do not change.
        stem, dot, suffix = name.rpartition(".")
        file_name = f"{stem}-{uuid.uuid4().hex[:8]}{dot}{suffix}"
        path = f"{self.store.path(self.key)}/{file_name}"
        self._written.append(path)
        rows = 0
        with self.store.writing(), self.store.fs.open(path, "wb") as file:
            hashing = _HashingFile(file)
            # Floats hardly compress, and are read without a copy if they are stored plain.
            with pq.ParquetWriter(pa.PythonFile(hashing, "w"), schema, compression="none", use_dictionary=False) as to:

                def write(table: pa.Table) -> None:
                    nonlocal rows
                    to.write_table(table, row_group_size=max(1, table.num_rows))
                    rows += table.num_rows

                yield write
        self.files[name] = FileEntry(file=file_name, rows=rows, bytes=hashing.bytes, sha256=hashing.sha256.hexdigest())

    def remove(self) -> None:
        """Remove the files that were written."""
        for path in self._written:
            with suppress(Exception):  # file systems raise errors of any type, and the caller already has one
                self.store.fs.rm_file(path)


class _HashingFile:
    """A file open for writing that hashes the data written to it."""

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
        """Do nothing: the file is closed where it was opened."""
