"""Read tables of scores and of the truth from files, check them, and convert them to a common form."""

from __future__ import annotations

import io
import os
import re
from os import PathLike

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from emms.errors import EMMSError, did_you_mean
from emms.files import open_regular

TRUTH_COLUMNS = ("value", "finetuned_accuracy", "accuracy")
"""Allowed names of the column of values in a truth table. Other numeric columns may be ranks or losses."""


def read_table(path: str | PathLike[str]) -> pl.DataFrame:
    """Read a CSV or Parquet file, recognised by its content. CSV columns are read as text; unnamed ones are ignored.

    Raises EMMSError if the file is missing, empty or of another format, or if two columns have the same name.
    """
    try:
        with open_regular(os.fspath(path)) as file:
            data = file.read()
    except OSError as cause:
        raise EMMSError(f"table '{path}' cannot be read: {cause.strerror or cause}; check the path") from cause
    if not data.strip():
        raise EMMSError(f"table '{path}' is empty; a CSV starts with a line of column names")
    try:
        return _read_parquet(data) if data.startswith(b"PAR1") else _read_csv(data)
    except (PolarsError, pa.ArrowException, OSError, ValueError) as cause:
        first_line = str(cause).strip().partition("\n")[0]
        raise EMMSError(
            f"table '{path}' is neither a CSV in UTF-8 nor a valid Parquet file: {first_line}; "
            f"write it again, with commas between the columns, and quotes around a name that contains a comma"
        ) from cause


def scores_table(table: pl.DataFrame, what: str = "the scores") -> pl.DataFrame:
    """Return columns `model`, `score` and, if the table has them, `dataset` and `estimator`; nan scores become null.

    `what` is the name of the table in messages. Duplicate rows are merged. Raises EMMSError if a column is missing, a
    cell has the wrong type, a model has two scores, a score is infinite, or there are no rows.
    """
    table = _checked(table, ["dataset", "estimator"], _column(table, what, "score"), "score", what)
    if table.is_empty():
        raise EMMSError(f"{what}: there are no rows; give at least one model and its score")
    _refuse_infinite(table, "score", "score", what)
    return table


def truth_table(table: pl.DataFrame, what: str = "the truth") -> pl.DataFrame:
    """Return columns `model`, `value` and, if the table has it, `dataset`; models without a value are left out.

    The value is the column `value`, or else the one of `TRUTH_COLUMNS` that the table has. `what` and duplicate rows
    are as in `scores_table`. Raises EMMSError as `scores_table` does, and if the table has several such columns.
    """
    column = _column(table, what, *TRUTH_COLUMNS)
    candidates = [name for name in TRUTH_COLUMNS if name in table.columns]
    if column != "value" and len(candidates) > 1:
        raise EMMSError(f"{what}: columns {_listed(candidates)} are ambiguous; rename the one to use to 'value'")
    table = _checked(table, ["dataset"], column, "value", what)
    _refuse_infinite(table, "value", column, what)
    table = table.drop_nulls("value")
    if table.is_empty():
        raise EMMSError(f"{what}: column '{column}' has no number; give at least one model and its value")
    return table


def _read_parquet(data: bytes) -> pl.DataFrame:
    # Read and validated by pyarrow, since a damaged file can make polars abort the process.
    table = pq.read_table(io.BytesIO(data)).replace_schema_metadata(None)
    table.validate(full=True)
    return pl.DataFrame(table)


def _read_csv(data: bytes) -> pl.DataFrame:
    if b"\0" in data:
        raise ValueError("it contains binary data")
    # Inferred types would turn a network named 001 into 1, and could differ between two files of the same networks.
    table = pl.read_csv(io.StringIO(data.decode("utf-8-sig")), infer_schema=False)
    # polars renames duplicate columns; undo that, so that a duplicate name is an error.
    names = {column: re.sub(r"_duplicated_\d+$", "", column).strip() for column in table.columns}
    return table.select(pl.col(column).alias(name) for column, name in names.items() if name)


def _column(table: pl.DataFrame, what: str, *names: str) -> str:
    """Return the first of the names that the table has as a column."""
    for name in names:
        if name in table.columns:
            return name
    if len(table.columns) == 1 and ";" in table.columns[0]:
        raise EMMSError(f"{what}: the columns are separated by semicolons; write the table again, with commas")
    near = next(filter(None, (did_you_mean(name, table.columns) for name in names)), "")
    expected = " or ".join(f"'{name}'" for name in names)
    raise EMMSError(f"{what}: there is no column {expected}{near} (columns: {_listed(table.columns)})")


def _checked(table: pl.DataFrame, optional: list[str], column: str, name: str, what: str) -> pl.DataFrame:
    """Return one row per model: the key columns as text, and `column` as float64, renamed to `name`.

    The key columns are `model` and the `optional` ones that the table has.
    """
    keys = [_column(table, what, "model"), *(key for key in optional if key in table.columns)]
    cells = table.select(*keys, column).with_row_index("row", 1).filter(~pl.all_horizontal(pl.exclude("row").is_null()))
    result = pl.DataFrame([*(_names(cells, key, what) for key in keys), _numbers(cells, column, what).alias(name)])
    result = result.unique().sort(*keys, name)
    twice = result.filter(result.select(keys).is_duplicated())
    if not twice.is_empty():
        which = ", ".join(f"{key} {twice[key][0]!r}" for key in keys)
        first, second = twice[name].head(2)
        missing = [key for key in optional if key not in keys]
        raise EMMSError(
            f"{what}: {which} has two different values of {column}, {first} and {second}; keep one row of them"
            + (f", or distinguish them by a column {' or '.join(map(repr, missing))}" if missing else "")
        )
    return result


def _names(cells: pl.DataFrame, column: str, what: str) -> pl.Series:
    """Return a column as text, without surrounding blanks."""
    try:
        names = cells[column].cast(pl.String).str.strip_chars().replace("", None)
    except PolarsError as cause:
        raise EMMSError(f"{what}: column '{column}' has type {cells[column].dtype}; it must be text") from cause
    if names.has_nulls():
        raise EMMSError(f"{what}: row {cells['row'].filter(names.is_null())[0]} has no {column}; fill it in")
    return names


def _refuse_infinite(table: pl.DataFrame, name: str, column: str, what: str) -> None:
    """Raise EMMSError if the column `name`, whose original name is `column`, has an infinite number."""
    infinite = table.filter(pl.col(name).is_infinite())
    if not infinite.is_empty():
        row = infinite.row(0, named=True)
        which = ", ".join(f"{key} {row[key]!r}" for key in row if key != name)
        raise EMMSError(
            f"{what}: {which} has an infinite {column}, and metrics need finite numbers; leave the cell empty if "
            f"there is none"
        )


def _numbers(cells: pl.DataFrame, column: str, what: str) -> pl.Series:
    """Return a column as float64, with null for cells that are empty or nan."""
    values = cells[column]
    if values.dtype == pl.String:
        values = values.str.strip_chars().replace("", None)
    elif not (values.dtype.is_numeric() or values.dtype == pl.Null):
        raise EMMSError(f"{what}: column '{column}' has type {values.dtype}; it must be numbers")
    numbers = values.cast(pl.Float64, strict=False)
    wrong = cells.filter(numbers.is_null() & values.is_not_null())
    if not wrong.is_empty():
        raise EMMSError(
            f"{what}: row {wrong['row'][0]} (model {wrong['model'][0]!r}) has {wrong[column][0]!r} as {column}, which "
            f"is not a number; leave the cell empty if there is none"
        )
    return numbers.fill_nan(None)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
