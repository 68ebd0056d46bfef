"""Tables of scores and of the truth: read from files, checked, and brought to one form."""

from __future__ import annotations

import io
import re
from os import PathLike
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from emms.errors import EMMSError, did_you_mean

TRUTH_COLUMNS = ("value", "finetuned_accuracy", "accuracy")
"""What the column of a truth table may be called. No other numeric column is taken: it might be a rank or a loss."""


def read_table(path: str | PathLike[str]) -> pl.DataFrame:
    """Read a CSV or Parquet file, told apart by content. All of a CSV's columns are text; unnamed ones are left out.

    Raises EMMSError if the file is missing, empty or neither, or if a column name stands there twice.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as cause:
        raise EMMSError(f"table '{path}' cannot be read: {cause.strerror or cause}; check the path") from cause
    if not data.strip():
        raise EMMSError(f"table '{path}' is empty; a CSV starts with a line of column names")
    try:
        return _read_parquet(data) if data.startswith(b"PAR1") else _read_csv(data)
    except (PolarsError, pa.ArrowException, OSError, ValueError) as cause:
        first_line = str(cause).strip().partition("\n")[0]
        raise EMMSError(
            f"table '{path}' is neither a CSV in UTF-8 nor a Parquet file that can be read: {first_line}; "
            f"write it again, with commas between the columns"
        ) from cause


def scores_table(table: pl.DataFrame, what: str = "the scores") -> pl.DataFrame:
    """Return columns `model`, `score` and, if the table has them, `dataset` and `estimator`; null where a score is nan.

    `what` is what messages call the table. Rows that say the same are one. Raises EMMSError if a column is missing, a
    cell is not what it should be, a model has two scores, or there is none at all.
    """
    table = _checked(table, ["dataset", "estimator"], _column(table, what, "score"), "score", what)
    if table.is_empty():
        raise EMMSError(f"{what}: there are no rows; give at least one model and its score")
    return table


def truth_table(table: pl.DataFrame, what: str = "the truth") -> pl.DataFrame:
    """Return columns `model`, `value` and, if the table has it, `dataset`; models whose value is unknown are left out.

    The value is in the column `value`, or else in the one of `TRUTH_COLUMNS` that the table has. The rest is as with
    `scores_table`. Raises EMMSError as there, and if a value is infinite or the table has several such columns.
    """
    column = _column(table, what, *TRUTH_COLUMNS)
    rivals = [name for name in TRUTH_COLUMNS if name in table.columns]
    if column != "value" and len(rivals) > 1:
        raise EMMSError(f"{what}: columns {_listed(rivals)} could each be meant; name the one that counts 'value'")
    table = _checked(table, ["dataset"], column, "value", what)
    infinite = table.filter(pl.col("value").is_infinite())
    if not infinite.is_empty():
        raise EMMSError(
            f"{what}: model {infinite['model'][0]!r} has an infinite {column}; leave the cell empty where it is unknown"
        )
    table = table.drop_nulls("value")
    if table.is_empty():
        raise EMMSError(f"{what}: column '{column}' holds no number; give at least one model and its value")
    return table


def _read_parquet(data: bytes) -> pl.DataFrame:
    # A damaged file may make polars abort the whole process; so pyarrow reads, and polars gets what was found valid.
    table = pq.read_table(io.BytesIO(data)).replace_schema_metadata(None)
    table.validate(full=True)
    return pl.DataFrame(table)


def _read_csv(data: bytes) -> pl.DataFrame:
    if b"\0" in data:
        raise ValueError("it holds binary data")
    # Inferred types would make 1 of a network called 001, and differ between two files with the same networks.
    table = pl.read_csv(io.StringIO(data.decode("utf-8-sig")), infer_schema=False)
    # polars renames a column whose name was there before; with its own name back, it is the error that it should be.
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
    wanted = " or ".join(f"'{name}'" for name in names)
    raise EMMSError(f"{what}: there is no column {wanted}{near} (columns: {_listed(table.columns)})")


def _checked(table: pl.DataFrame, optional: list[str], column: str, name: str, what: str) -> pl.DataFrame:
    """Return one row per model: the key columns as text, and `column` as float64 under `name`.

    The key columns are `model` and those of the `optional` ones that the table has.
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
            + (f", or tell them apart by a column {' or '.join(map(repr, missing))}" if missing else "")
        )
    return result


def _names(cells: pl.DataFrame, column: str, what: str) -> pl.Series:
    """Return a column as text, without blanks around it."""
    try:
        names = cells[column].cast(pl.String).str.strip_chars().replace("", None)
    except PolarsError as cause:
        raise EMMSError(f"{what}: column '{column}' holds {cells[column].dtype}; it must hold text") from cause
    if names.has_nulls():
        raise EMMSError(f"{what}: row {cells['row'].filter(names.is_null())[0]} has no {column}; fill it in")
    return names


def _numbers(cells: pl.DataFrame, column: str, what: str) -> pl.Series:
    """Return a column as float64, null where a cell is empty or nan."""
    values = cells[column]
    if values.dtype == pl.String:
        values = values.str.strip_chars().replace("", None)
    elif not (values.dtype.is_numeric() or values.dtype == pl.Null):
        raise EMMSError(f"{what}: column '{column}' holds {values.dtype}; it must hold numbers")
    numbers = values.cast(pl.Float64, strict=False)
    wrong = cells.filter(numbers.is_null() & values.is_not_null())
    if not wrong.is_empty():
        raise EMMSError(
            f"{what}: row {wrong['row'][0]} (model {wrong['model'][0]!r}) has {wrong[column][0]!r} as {column}, which "
            f"is not a number; leave the cell empty where there is none"
        )
    return numbers.fill_nan(None)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
