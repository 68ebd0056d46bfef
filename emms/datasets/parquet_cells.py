"""Read single cells of large Parquet columns in bounded memory.

Parquet is read sequentially: reading a cell means reading everything before it in its row group, which may be as large
as the file. Therefore a column is read as a stream, and recently read cells are kept for other threads.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from emms.files import check_regular

_BUFFER = 1 << 20  # bytes of the column read from the file at once
_BATCH = 32  # cells decoded at once
_KEEP = 128 << 20  # bytes of cells kept in memory


def open_column(path: str) -> pq.ParquetFile:
    """Open a Parquet file for streaming its columns.

    Raises OSError, also if it is not a regular file, or pyarrow.ArrowException.
    """
    check_regular(path)
    return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


def stream_cells(file: pq.ParquetFile, column: str, first_group: int = 0) -> Iterator[bytes | None]:
    """Yield the cells of a column of bytes, or of structs with a field `bytes`, from a row group to the end."""
    is_struct = file.schema_arrow.field(column).type.num_fields > 0
    leaf = f"{column}.bytes" if is_struct else column
    for group in range(first_group, file.num_row_groups):
        # One group at a time, since a batch across two of them would be lost if the second is damaged.
        for batch in file.iter_batches(_BATCH, [group], [leaf], use_threads=False):
            cells = batch.column(0)
            yield from (cells.field(0) if is_struct else cells).to_pylist()


class ImageColumn:
    """The cells of one column, read sequentially; keeps the most recent 128 MB. Thread-safe."""

    def __init__(self, path: str, column: str) -> None:
        self._file, self._column = open_column(path), column
        sizes = (self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups))
        self._starts = [0, *accumulate(sizes)]
        self._lock = Lock()
        self._kept: OrderedDict[int, bytes | None] = OrderedDict()
        self._bytes = 0
        self._restart(0)

    def __getitem__(self, row: int) -> bytes | None:
        """Return a cell. Raises OSError or pyarrow.ArrowException if the file is damaged."""
        with self._lock:
            if row not in self._kept:
                self._read_to(row)
            return self._kept[row]

    def _restart(self, group: int) -> None:
        self._next, self._cells = self._starts[group], stream_cells(self._file, self._column, group)

    def _read_to(self, row: int) -> None:
        group = bisect_right(self._starts, row) - 1
        if not self._starts[group] <= self._next <= row:
            self._restart(group)
        try:
            while self._next <= row:
                self._keep(next(self._cells))
        except (OSError, pa.ArrowException):
            self._next = -1  # a stream that has failed cannot continue: the next cell starts a new one
            raise

    def _keep(self, cell: bytes | None) -> None:
        self._bytes += len(cell or b"") - len(self._kept.pop(self._next, None) or b"")
        self._kept[self._next] = cell
        self._next += 1
        while self._bytes > _KEEP and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1] or b"")


def read_cell(path: str, column: str, row: int) -> bytes | None:
    """Return the bytes in one cell, or None if it is null. Raises OSError or pyarrow.ArrowException."""
    state = os.stat(path)
    return _column(path, column, (state.st_size, state.st_mtime_ns, state.st_ino))[row]


@lru_cache(maxsize=2)
def _column(path: str, column: str, state: tuple[int, ...]) -> ImageColumn:
    return ImageColumn(path, column)
