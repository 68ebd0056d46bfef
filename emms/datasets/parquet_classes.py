"""List Parquet files of images and classes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from emms.datasets.base import LISTING, Listing
from emms.datasets.class_names import ClassNames, name_labels
from emms.datasets.parquet_files import column_type, is_text, opened, own_names, valid
from emms.datasets.parquet_images import image_rows
from emms.errors import DatasetError


def list_classes(
    paths: list[str], image_column: str, label_column: str, class_names: ClassNames | None, root: str | None
) -> Listing:
    """List the rows of Parquet files, and the classes that occur, in the order of their labels.

    root: the folder that paths of images are relative to; None for that of each file.

    Raises DatasetError if a file is damaged, a column is missing or of another type, a label is null or has no name,
    files have different class names, or a cell names a file that is not below `root`.
    """
    in_file: list[str] | None = None
    parts: list[pl.DataFrame] = []
    tables = frozenset(map(os.path.realpath, paths))
    for path in paths:
        with opened(path) as file:
            labels, names = _labels(path, file, label_column, class_names is not None)
            samples = image_rows(path, file, image_column, root, tables)
        if parts and (in_file != names or labels.dtype != parts[0]["value"].dtype):
            raise DatasetError(
                f"column '{label_column}' of '{path}' has other class names or another type than in the "
                f"previous files; use files of one dataset"
            )
        in_file = names
        parts.append(samples.with_columns(labels.alias("value")))
    samples = pl.concat(parts)
    values = samples["value"].unique().sort()
    names_of, notes = _names(values.to_list(), in_file, class_names)
    samples = samples.with_columns(label=pl.col("value").replace_strict(values, np.arange(len(values))))
    return Listing(samples.select(LISTING.names()).cast(LISTING), names_of, notes)


def _labels(path: str, file: pq.ParquetFile, column: str, named: bool) -> tuple[pl.Series, list[str] | None]:
    """Return the file's labels, strings or integers, and the names of integer labels if the file has them."""
    kind = column_type(path, file, column, "label_column")
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    integer = pa.types.is_integer(kind)
    if not integer and not is_text(kind):
        raise DatasetError(
            f"column '{column}' of '{path}' has type {kind}; labels are strings or integers: cast it, or give "
            f"another column with `label_column:`"
        )
    labels = pl.Series(valid(file.read([column])[column]).cast(pa.int64() if integer else pa.large_string()))
    _reject(path, column, labels, labels.is_null(), "give it a label, or remove the row")
    names = own_names(file, column)
    if names is not None and not named:
        outside = ~labels.is_between(0, len(names) - 1)
        remedy = f"but the file has {len(names)} class names; fix it, or give `class_names:`"
        _reject(path, column, labels, outside, remedy)
    return labels, names


def _names(values: list[Any], own: list[str] | None, class_names: ClassNames | None) -> tuple[list[str], list[str]]:
    """Return the name of each label that occurs, and warnings."""
    labels = [str(value) for value in values]
    in_file = None
    if own is not None and all(0 <= value < len(own) for value in values):
        in_file = [own[value] for value in values]
    if class_names is None:
        return labels if in_file is None else in_file, []
    return name_labels([labels] if in_file is None else [labels, in_file], class_names)


def _reject(path: str, column: str, labels: pl.Series, wrong: pl.Series, remedy: str) -> None:
    """Raise DatasetError for the first label that is wrong."""
    if wrong.any():
        row = int(wrong.arg_true()[0])
        value = "null" if labels[row] is None else labels[row]
        raise DatasetError(f"column '{column}' of '{path}' has {value} in row {row}; {remedy}")
