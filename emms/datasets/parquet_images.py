"""Find the image of each row of a Parquet file: in its cell, or in a file that the cell names."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL.Image import Image

from emms.datasets.base import LISTING
from emms.datasets.images import image_size, read_image
from emms.datasets.parquet_cells import read_cell, stream_cells
from emms.datasets.parquet_files import any_null, column_type, is_bytes, is_struct_of_image, is_text, valid
from emms.datasets.parquet_paths import NamedFiles
from emms.errors import BadSampleError, DatasetError


def image_rows(path: str, file: pq.ParquetFile, column: str, root: str | None, tables: frozenset[str]) -> pl.DataFrame:
    """Return the `id`, `path` and `position` of each row, as in a listing.

    column: the column of images. root: the folder that paths are relative to; None for that of the file. tables: the
    real paths of the dataset's Parquet files.

    Raises DatasetError if the column is missing or of another type, or if a cell names a file that is not below `root`.
    """
    kind = column_type(path, file, column, "image_column")
    rows = file.metadata.num_rows
    named: list[str | None] = [None] * rows
    if is_text(kind):
        named = valid(file.read([column])[column]).to_pylist()
    elif is_struct_of_image(kind):
        if any_null(file, f"{column}.bytes"):
            named = list(_names_without_bytes(file, column))
    elif not is_bytes(kind):
        raise DatasetError(
            f"column '{column}' of '{path}' has type {kind}; images are bytes, structs of bytes and path, or "
            f"paths: give another column with `image_column:`"
        )
    folder, name = os.path.split(path)
    files = NamedFiles(path, folder if root is None else root, tables).resolve(named)
    return pl.DataFrame(
        {
            "id": [f"{name}:{row}" for row in range(rows)],
            "path": [path if image is None else image for image in files],
            "position": [row if image is None else 0 for row, image in enumerate(files)],
        },
        schema={name: LISTING[name] for name in ("id", "path", "position")},
    )


def _names_without_bytes(file: pq.ParquetFile, column: str) -> Iterator[str | None]:
    paths = valid(pc.struct_field(file.read([f"{column}.path"])[column], "path")).to_pylist()
    for name, image in zip(paths, stream_cells(file, column), strict=True):
        yield name if image is None else None


def cell_image(path: str, column: str, row: int) -> Image:
    """Return the image in a cell. Raises BadSampleError."""
    return read_image(_cell(path, column, row))


def cell_image_size(path: str, column: str, row: int) -> tuple[int, int]:
    """Return the width and height of the image in a cell. Raises BadSampleError."""
    return image_size(_cell(path, column, row))


def _cell(path: str, column: str, row: int) -> io.BytesIO:
    try:
        image = read_cell(path, column, row)
    except (OSError, pa.ArrowException) as cause:
        raise BadSampleError(f"row {row} of '{path}' cannot be read ({cause}); restore the file") from cause
    if not isinstance(image, bytes):  # null, or an empty path
        raise BadSampleError(f"null or empty in column '{column}', row {row}; give the row an image, or remove it")
    return io.BytesIO(image)
