"""Rows of numbers in a temporary file, for label embeddings that do not fit into memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from emms.errors import StoreError

BLOCK_ROWS = 4_096
"""Rows that are read or written at a time: 50 MB at 3 x 1,024 float32."""


class RowFile:
    """An array (U, …) of float32 in a temporary file, of which only the rows that are asked for are read.

    It has `shape`, `len`, and indexing by a slice or by an array of row numbers, like a numpy array. The file is in the
    folder of `tempfile.gettempdir()` (`TMPDIR`), and is removed with the last reference to it. Rows are read, not
    mapped into memory, so that the memory of the process stays bounded. Several threads can read at once.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, *row_shape: int) -> None:
        self._row_shape, self._rows = row_shape, 0
        self._row_bytes = int(np.prod(row_shape)) * self.dtype.itemsize
        self._file = tempfile.TemporaryFile(prefix="emms-rows-", buffering=0)  # noqa: SIM115

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, (U, …)."""
        return (self._rows, *self._row_shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: np.ndarray) -> Self:
        """Add rows (B, …) at the end. Raises StoreError if the temporary folder is full."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {rows.shape[1:]} do not fit into a file of {self._row_shape}")
        data = memoryview(np.ascontiguousarray(rows, dtype=self.dtype).reshape(-1).view(np.uint8).data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as cause:
            raise StoreError(
                f"label embeddings cannot be written to the temporary folder {tempfile.gettempdir()}: {cause}; free "
                f"space, or set TMPDIR to a folder with more"
            ) from cause
        self._rows += len(rows)
        return self

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return rows (B, …), float32, by a slice without a step or by an array of row numbers (B,)."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self._rows)
            if step != 1:
                return self[np.arange(start, stop, step)]
            found = np.empty((max(stop - start, 0), *self._row_shape), self.dtype)
            self._read(found.reshape(-1).view(np.uint8), start)
            return found
        numbers = np.asarray(rows)
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
            raise IndexError(f"rows are numbers (B,), not {numbers.dtype} of shape {numbers.shape}")
        if len(numbers) and not (-self._rows <= numbers.min() and numbers.max() < self._rows):
            raise IndexError(f"row {numbers.min()} or {numbers.max()} is out of range for {self._rows} rows")
        found = np.empty((len(numbers), *self._row_shape), self.dtype)
        each = found.reshape(len(numbers), int(np.prod(self._row_shape))).view(np.uint8)
        for row, number in zip(each, (numbers % max(self._rows, 1)).tolist(), strict=True):
            self._read(row, number)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return everything as an array in memory, for code that cannot work row by row."""
        return np.asarray(self[:], dtype=dtype)

    def __reduce__(self) -> str:
        raise TypeError("rows in a temporary file cannot be pickled; each process reads the store by itself")

    def blocks(self) -> Iterator[slice]:
        """Yield consecutive ranges of rows of bounded size."""
        return blocks(self._rows)

    def _read(self, target: np.ndarray, row: int) -> None:
        buffer, offset = memoryview(target.data), row * self._row_bytes
        while buffer:
            read = os.preadv(self._file.fileno(), [buffer], offset)
            if not read:
                raise StoreError("a temporary file with label embeddings was cut off; run again")
            buffer, offset = buffer[read:], offset + read


Rows = np.ndarray | RowFile
"""Rows in memory, or in a temporary file."""


def blocks(n_rows: int) -> Iterator[slice]:
    """Yield consecutive ranges of rows of bounded size."""
    return (slice(start, min(start + BLOCK_ROWS, n_rows)) for start in range(0, n_rows, BLOCK_ROWS))
