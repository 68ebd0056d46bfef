"""Parquet files with a column of images, as Hugging Face datasets are published."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.class_names import ClassNames, name_labels
from emms.datasets.images import read_image
from emms.datasets.parquet_cells import open_column, read_cell, stream_cells
from emms.datasets.parquet_paths import NamedFiles
from emms.downstream.image_classification import ImageSample
from emms.errors import BadSampleError, DatasetError, did_you_mean
from emms.paths import UserPath


class ParquetImages(Dataset):
    """Images and labels in the columns of one Parquet file, or of all Parquet files in a folder.

    A cell of the image column is the bytes of an image file, a struct of `bytes` and `path` as in Hugging Face
    datasets, or the path of an image file below `root`. A label is a string or an integer.
    """

    format: Literal["parquet"] = "parquet"
    path: UserPath = Field(description="A Parquet file, or a folder of *.parquet files.")
    image_column: str = Field("image", description="The column of images: bytes, structs of bytes and path, or paths.")
    label_column: str = Field("label", description="The column of labels: strings or integers.")
    class_names: ClassNames | None = Field(
        None,
        description="Readable names for labels that are integers or codes: a list for 0, 1, …, a mapping, or a file "
        "with a `label,name` per line. The default is the names in the Parquet file's own metadata, if any.",
    )
    root: UserPath | None = Field(
        None,
        description="The folder that paths in the image column are relative to; all images must be in it or below. "
        "The default is the folder of the Parquet file.",
    )

    def listing(self) -> Listing:
        """List the rows, file by file, and the classes that occur, in the order of their labels.

        Raises DatasetError if a file is missing or damaged, a column is missing or of another type, a label is null or
        has no name, files have different class names, or a cell names a file that is not below `root`.
        """
        if self.root is not None and not os.path.isdir(self.root):
            raise DatasetError(f"`root: {self.root}` is not a folder; give the folder that image paths are relative to")
        own_names: list[str] | None = None
        parts: list[pl.DataFrame] = []
        paths = self._files()
        tables = frozenset(map(os.path.realpath, paths))
        for path in paths:
            with _opened(path) as file:
                labels, names = self._labels(path, file)
                samples = self._samples(path, file, tables)
            if parts and (own_names != names or labels.dtype != parts[0]["value"].dtype):
                raise DatasetError(
                    f"column '{self.label_column}' of '{path}' has other class names or another type than in the "
                    f"previous files; use files of one dataset"
                )
            own_names = names
            parts.append(samples.with_columns(labels.alias("value")))
        samples = pl.concat(parts)
        values = samples["value"].unique().sort()
        names_of, notes = self._names(values.to_list(), own_names)
        samples = samples.with_columns(label=pl.col("value").replace_strict(values, np.arange(len(values))))
        return Listing(samples.select(LISTING.names()).cast(LISTING), names_of, notes)

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Load one image; fast if images are loaded in about the order of the listing.

        Raises BadSampleError.
        """
        path, row = record["path"], record["position"]
        if not self._is_table(path):
            return ImageSample(record["id"], read_image(path))
        try:
            image = read_cell(path, self.image_column, row)
        except (OSError, pa.ArrowException) as cause:
            raise BadSampleError(f"row {row} of '{path}' cannot be read ({cause}); restore the file") from cause
        if not isinstance(image, bytes):  # null, or an empty path
            raise BadSampleError(
                f"null or empty in column '{self.image_column}', row {row}; give the row an image, or remove it"
            )
        return ImageSample(record["id"], read_image(io.BytesIO(image)))

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file and its position there."""
        return {"format": self.format, "image_column": self.image_column}

    def _absolute_path(self) -> str:
        return os.path.abspath(self.path)

    def _files(self) -> list[str]:
        source = self._absolute_path()
        if not os.path.exists(source):
            raise DatasetError(f"'{source}' does not exist; give a Parquet file or a folder of them")
        if not os.path.isdir(source):
            return [source]
        files = sorted(str(file) for file in Path(source).glob("*.parquet") if not file.name.startswith("."))
        if not files:
            raise DatasetError(f"folder '{source}' has no *.parquet file; give a Parquet file or a folder of them")
        return files

    def _is_table(self, path: str) -> bool:
        """Return whether a sample's file is one of the Parquet files, rather than an image that a cell names.

        The listing accepts no image in a cell whose name ends in '.parquet'.
        """
        source = self._absolute_path()
        return path == source or (os.path.dirname(path) == source and path.endswith(".parquet"))

    def _type(self, path: str, file: pq.ParquetFile, column: str, setting: str) -> pa.DataType:
        schema = file.schema_arrow
        if column not in schema.names:
            raise DatasetError(
                f"'{path}' has no column '{column}'{did_you_mean(column, schema.names)} "
                f"(its columns: {', '.join(schema.names)}); name the right one with `{setting}:`"
            )
        if schema.names.count(column) > 1:
            raise DatasetError(f"'{path}' has more than one column '{column}'; rename all but one")
        return schema.field(column).type

    def _labels(self, path: str, file: pq.ParquetFile) -> tuple[pl.Series, list[str] | None]:
        """Return the file's labels, strings or integers, and the names of integer labels if the file has them."""
        column = self.label_column
        kind = self._type(path, file, column, "label_column")
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        integer = pa.types.is_integer(kind)
        if not integer and not _is_text(kind):
            raise DatasetError(
                f"column '{column}' of '{path}' has type {kind}; labels are strings or integers: cast it, or give "
                f"another column with `label_column:`"
            )
        labels = pl.Series(_valid(file.read([column])[column]).cast(pa.int64() if integer else pa.large_string()))
        self._reject(path, labels, labels.is_null(), "give it a label, or remove the row")
        names = _own_names(file, column) if integer else None
        if names is not None and self.class_names is None:
            outside = ~labels.is_between(0, len(names) - 1)
            self._reject(
                path, labels, outside, f"but the file has {len(names)} class names; fix it, or give `class_names:`"
            )
        return labels, names

    def _names(self, values: list[Any], own_names: list[str] | None) -> tuple[list[str], list[str]]:
        """Return the name of each label that occurs, and warnings."""
        labels = [str(value) for value in values]
        in_file = None
        if own_names is not None and all(0 <= value < len(own_names) for value in values):
            in_file = [own_names[value] for value in values]
        if self.class_names is None:
            return labels if in_file is None else in_file, []
        return name_labels([labels] if in_file is None else [labels, in_file], self.class_names)

    def _reject(self, path: str, labels: pl.Series, wrong: pl.Series, remedy: str) -> None:
        """Raise DatasetError for the first label that is wrong."""
        if wrong.any():
            row = int(wrong.arg_true()[0])
            value = "null" if labels[row] is None else labels[row]
            raise DatasetError(f"column '{self.label_column}' of '{path}' has {value} in row {row}; {remedy}")

    def _samples(self, path: str, file: pq.ParquetFile, tables: frozenset[str]) -> pl.DataFrame:
        """Return the id of each row and the location of its image: in its cell, or in a file that the cell names."""
        kind = self._type(path, file, self.image_column, "image_column")
        column, rows = self.image_column, file.metadata.num_rows
        named: list[str | None] = [None] * rows
        if _is_text(kind):
            named = _valid(file.read([column])[column]).to_pylist()
        elif _is_struct_of_image(kind):
            if _any_null(file, f"{column}.bytes"):
                paths = _valid(pc.struct_field(file.read([f"{column}.path"])[column], "path")).to_pylist()
                named = [
                    name if image is None else None
                    for name, image in zip(paths, stream_cells(file, column), strict=True)
                ]
        elif not _is_bytes(kind):
            raise DatasetError(
                f"column '{column}' of '{path}' has type {kind}; images are bytes, structs of bytes and path, or "
                f"paths: give another column with `image_column:`"
            )
        folder, name = os.path.split(path)
        root = folder if self.root is None else os.path.abspath(self.root)
        files = NamedFiles(path, root, tables).resolve(named)
        return pl.DataFrame(
            {
                "id": [f"{name}:{row}" for row in range(rows)],
                "path": [path if image is None else image for image in files],
                "position": [row if image is None else 0 for row, image in enumerate(files)],
            },
            schema={name: LISTING[name] for name in ("id", "path", "position")},
        )


@contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises DatasetError if it is not one, or if reading it in the block finds it damaged."""
    try:
        with open_column(path) as file:
            yield file
    except (OSError, pa.ArrowException) as cause:
        raise DatasetError(f"'{path}' cannot be read as Parquet: {cause}; restore it, or write it again") from cause


def _valid(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Validate and return the column. Raises pyarrow.ArrowInvalid if it has text that is not UTF-8."""
    column.validate(full=True)
    return column


def _is_struct_of_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or not {"bytes", "path"} <= {field.name for field in kind}:
        return False
    path = kind.field("path").type
    return _is_bytes(kind.field("bytes").type) and (_is_text(path) or pa.types.is_null(path))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _own_names(file: pq.ParquetFile, column: str) -> list[str] | None:
    """Return the names of a ClassLabel from the metadata that Hugging Face datasets write into the schema."""
    try:
        metadata = json.loads(file.schema_arrow.metadata[b"huggingface"])
        return [str(name) for name in metadata["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):
        return None


def _any_null(file: pq.ParquetFile, leaf: str) -> bool:
    """Return whether a column may have nulls, by the statistics in the file's footer."""
    for group in range(file.num_row_groups):
        group_of = file.metadata.row_group(group)
        column = next(c for c in map(group_of.column, range(group_of.num_columns)) if c.path_in_schema == leaf)
        if column.statistics is None or not column.statistics.has_null_count or column.statistics.null_count:
            return True
    return False
