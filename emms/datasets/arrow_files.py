"""Arrow files of Hugging Face datasets, memory-mapped."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from emms.datasets.parquet_files import is_bytes, is_struct_of_image, is_text
from emms.errors import BadSampleError, DatasetError, printable
from emms.files import check_regular

DAMAGED = (OSError, pa.ArrowException, KeyError, UnicodeDecodeError)
"""What reading a damaged file raises; the last two: one without the columns of its dataset, or with names as bytes."""

_BATCH = 1024  # rows decoded at once


def arrow_table(path: str) -> pa.Table:
    """Return a table whose columns stay on disk until they are read. Raises `DAMAGED`."""
    return _table(path, _state(path))


def _state(path: str) -> tuple[int, ...]:
    """Return what changes when a file does."""
    check_regular(path)
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns, state.st_ino


@lru_cache(maxsize=64)
def _table(path: str, state: tuple[int, ...]) -> pa.Table:
    with pa.memory_map(path) as file:
        return pa.ipc.open_stream(file).read_all()


@lru_cache(maxsize=64)
def _valid_column(path: str, state: tuple[int, ...], column: str) -> pa.ChunkedArray:
    """Return a column that is safe to read: wrong offsets in a damaged file would crash the interpreter."""
    values = _table(path, state)[column]
    values.validate(full=True)
    return values


def arrow_rows(table: pa.Table, path: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row in these columns.

    Raises DatasetError if a column has values that Python cannot represent, `DAMAGED` if the file is damaged.
    """
    for batch in table.select(columns).to_batches(_BATCH):
        batch.validate(full=True)
        try:
            yield from batch.to_pylist()
        except (ValueError, OverflowError, KeyError) as cause:  # KeyError: an unknown time zone
            raise DatasetError(f"'{path}' cannot be read: {printable(cause)}") from cause


def named_images(path: str, column: str) -> list[str | None]:
    """Return the path in each cell of a column of images; None where the cell has the image itself, or is null.

    Raises DatasetError if the column is of another type, `DAMAGED` if the file is damaged.
    """
    cells = _valid_column(path, _state(path), column)
    if is_text(cells.type):
        return cells.to_pylist()
    if is_bytes(cells.type):
        return [None] * len(cells)
    if not is_struct_of_image(cells.type):
        raise DatasetError(
            f"column '{column}' of '{path}' has type {cells.type}; images are bytes, structs of bytes and path, or "
            f"paths: name another column with `columns: {{image: …}}`"
        )
    named: list[str | None] = []
    for chunk in cells.chunks:
        in_cell = chunk.field("bytes").is_valid().to_pylist()
        paths = chunk.field("path").to_pylist()
        whole = chunk.is_valid().to_pylist()
        named += [name if there and not has else None for name, has, there in zip(paths, in_cell, whole, strict=True)]
    return named


def arrow_image(path: str, column: str, row: int) -> io.BytesIO:
    """Return the bytes of the image in a cell. Raises BadSampleError."""
    try:
        cell = _valid_column(path, _state(path), column)[row].as_py()
    except (*DAMAGED, IndexError) as cause:
        raise BadSampleError(f"row {row} of '{path}' cannot be read ({cause}); restore the file") from cause
    image = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(image, bytes):  # null, or an empty path
        raise BadSampleError(f"null or empty in column '{column}', row {row}; give the row an image, or remove it")
    return io.BytesIO(image)
