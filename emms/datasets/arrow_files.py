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

_BATCH = 1024  # rows decoded at once


def arrow_table(path: str) -> pa.Table:
    """Return a table whose columns stay on disk until they are read. Raises OSError or pyarrow.ArrowException."""
    check_regular(path)
    state = os.stat(path)
    return _table(path, (state.st_size, state.st_mtime_ns, state.st_ino))


@lru_cache(maxsize=64)
def _table(path: str, state: tuple[int, ...]) -> pa.Table:
    with pa.memory_map(path) as file:
        return pa.ipc.open_stream(file).read_all()


def arrow_rows(table: pa.Table, path: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row in these columns. Raises DatasetError if a column has values that Python has not."""
    for batch in table.select(columns).to_batches(_BATCH):
        batch.validate(full=True)
        try:
            yield from batch.to_pylist()
        except (ValueError, OverflowError) as cause:
            raise DatasetError(f"'{path}' cannot be read: {printable(cause)}") from cause


def named_images(table: pa.Table, path: str, column: str) -> list[str | None]:
    """Return the path in each cell of a column of images; None where the cell has the image itself, or is null.

    Raises DatasetError if the column is of another type.
    """
    kind = table.schema.field(column).type
    if is_text(kind):
        return table[column].to_pylist()
    if is_bytes(kind):
        return [None] * len(table)
    if not is_struct_of_image(kind):
        raise DatasetError(
            f"column '{column}' of '{path}' has type {kind}; images are bytes, structs of bytes and path, or paths: "
            f"name another column with `columns: {{image: …}}`"
        )
    named: list[str | None] = []
    for chunk in table[column].chunks:
        in_cell = chunk.field("bytes").is_valid().to_pylist()
        paths = chunk.field("path").to_pylist()
        whole = chunk.is_valid().to_pylist()
        named += [name if there and not has else None for name, has, there in zip(paths, in_cell, whole, strict=True)]
    return named


def arrow_image(path: str, column: str, row: int) -> io.BytesIO:
    """Return the bytes of the image in a cell. Raises BadSampleError."""
    try:
        cell = arrow_table(path)[column][row].as_py()
    except (OSError, KeyError, IndexError, pa.ArrowException) as cause:
        raise BadSampleError(f"row {row} of '{path}' cannot be read ({cause}); restore the file") from cause
    image = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(image, bytes):  # null, or an empty path
        raise BadSampleError(f"null or empty in column '{column}', row {row}; give the row an image, or remove it")
    return io.BytesIO(image)
