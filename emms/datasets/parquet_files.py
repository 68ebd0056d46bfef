"""Open Parquet files from untrusted sources, check the types of their columns, and read rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emms.datasets.parquet_cells import open_column
from emms.errors import DatasetError, did_you_mean, printable

_BATCH = 1024  # rows decoded at once


def parquet_files(source: str) -> list[str]:
    """Return a Parquet file, or the sorted *.parquet files in a folder. Raises DatasetError if there are none."""
    if not os.path.exists(source):
        raise DatasetError(f"'{source}' does not exist; give a Parquet file or a folder of them")
    if not os.path.isdir(source):
        return [source]
    files = sorted(str(file) for file in Path(source).glob("*.parquet") if not file.name.startswith("."))
    if not files:
        raise DatasetError(f"folder '{source}' has no *.parquet file; give a Parquet file or a folder of them")
    return files


@contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises DatasetError if it is not one, or if reading it in the block finds it damaged."""
    try:
        with open_column(path) as file:
            yield file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as cause:  # the last: names of columns in a damaged footer
        raise DatasetError(f"'{path}' cannot be read as Parquet: {cause}; restore it, or write it again") from cause


def column_type(path: str, file: pq.ParquetFile, column: str, setting: str) -> pa.DataType:
    """Return the type of a column, which a setting names. Raises DatasetError if it is missing or occurs twice."""
    schema = file.schema_arrow
    if column not in schema.names:
        raise DatasetError(
            f"'{path}' has no column '{column}'{did_you_mean(column, schema.names)} "
            f"(its columns: {', '.join(schema.names)}); name the right one with `{setting}:`"
        )
    if schema.names.count(column) > 1:
        raise DatasetError(f"'{path}' has more than one column '{column}'; rename all but one")
    return schema.field(column).type


def stream_rows(file: pq.ParquetFile, path: str, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row as Python values, by column.

    columns: the columns to read, each with the setting that names it, for messages.

    Raises DatasetError if a column is missing or has values that Python cannot represent, pyarrow.ArrowException if the
    file is damaged.
    """
    for column, setting in columns.items():
        column_type(path, file, column, setting)
    for batch in file.iter_batches(_BATCH, columns=list(columns), use_threads=False):
        values = []
        for column in columns:
            cells = batch.column(column)
            cells.validate(full=True)
            try:
                values.append(cells.to_pylist())
            except (ValueError, OverflowError, KeyError) as cause:  # KeyError: an unknown time zone
                raise DatasetError(f"column '{column}' of '{path}' cannot be read: {printable(cause)}") from cause
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))


def valid(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Validate and return the column. Raises pyarrow.ArrowInvalid if it has text that is not UTF-8."""
    column.validate(full=True)
    return column


def is_struct_of_image(kind: pa.DataType) -> bool:
    """Return whether this is a struct of `bytes` and `path`, as in Hugging Face datasets."""
    if not pa.types.is_struct(kind) or not {"bytes", "path"} <= {field.name for field in kind}:
        return False
    path = kind.field("path").type
    return is_bytes(kind.field("bytes").type) and (is_text(path) or pa.types.is_null(path))


def is_text(kind: pa.DataType) -> bool:
    """Return whether cells are strings."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether cells are bytes."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def own_names(file: pq.ParquetFile, column: str) -> list[str] | None:
    """Return the names of a ClassLabel from the metadata that Hugging Face datasets write into the schema.

    None if there are none, or if the labels are not integers.
    """
    kinds = [field.type for field in file.schema_arrow if field.name == column]
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds]
    if not kinds or not pa.types.is_integer(kinds[0]):
        return None
    try:
        metadata = json.loads(file.schema_arrow.metadata[b"huggingface"])
        return [str(name) for name in metadata["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def any_null(file: pq.ParquetFile, leaf: str) -> bool:
    """Return whether a column may have nulls, by the statistics in the file's footer."""
    for group in range(file.num_row_groups):
        group_of = file.metadata.row_group(group)
        columns = map(group_of.column, range(group_of.num_columns))
        column = next((c for c in columns if c.path_in_schema == leaf), None)
        if (
            column is None
            or column.statistics is None
            or not column.statistics.has_null_count
            or column.statistics.null_count
        ):
            return True
    return False
