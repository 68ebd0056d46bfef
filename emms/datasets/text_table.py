"""Tables of labelled texts: CSV, TSV, JSON Lines or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from emms.datasets.annotated import Annotated, Row
from emms.datasets.base import Listing
from emms.datasets.class_names import ClassNames
from emms.datasets.jsonl import check_keys, json_lines
from emms.datasets.parquet_files import opened, own_names, stream_rows
from emms.datasets.records import Records
from emms.datasets.separated import Quoting, separated
from emms.datasets.task_table import renamed
from emms.downstream.text_classification import TextClassification
from emms.errors import BadSampleError, DatasetError
from emms.paths import UserPath

_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class TextTable(Annotated):
    """Texts, or pairs of texts, and their classes in a table, one sample per row."""

    format: Literal["text-table"] = "text-table"
    tasks: ClassVar = frozenset({TextClassification.name})
    path: UserPath = Field(description="A file with the extension .csv, .tsv, .jsonl, .ndjson or .parquet.")
    text_column: str = Field("text", description="The column of texts.")
    pair_column: str | None = Field(None, description="The column of the second texts, if samples are pairs.")
    label_column: str = Field("label", description="The column of labels: strings or integers.")
    class_names: ClassNames | None = Field(
        None,
        description="Readable names for labels that are integers or codes: a list for 0, 1, …, a mapping, or a file "
        "with a `label,name` per line. The default is the names in a Parquet file's own metadata, if any.",
    )
    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="What separates the cells of CSV and TSV. The default is a comma in .csv and a tab in .tsv.",
    )
    quoting: Quoting | None = Field(
        None,
        description="Whether cells of CSV and TSV can be in double quotes (`double`), or quotes are characters like "
        "any other (`none`). The default is `double` in .csv and `none` in .tsv.",
    )

    @model_validator(mode="after")
    def _different_columns(self) -> TextTable:
        columns = [self.text_column, self.label_column, *([] if self.pair_column is None else [self.pair_column])]
        if len(set(columns)) < len(columns):
            raise ValueError(
                f"two of text, pair and label are the same column ({', '.join(columns)}); name another one"
            )
        return self

    @property
    def source(self) -> str:
        """Path of the file."""
        return os.path.abspath(self.path)

    def listing(self) -> Listing:
        """List the rows. Those with a blank cell are left out, and counted in a note.

        Raises DatasetError, with the file and the line or row, if the file is damaged or has other columns.
        """
        names = self.class_names
        if names is None and self._extension() == ".parquet":
            with opened(self.source) as file:
                names = own_names(file, self.label_column)
        return renamed(super().listing(), names, self.downstream)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the table."""
        columns = {"text": self.text_column, "label": self.label_column}
        if self.pair_column is not None:
            columns["pair"] = self.pair_column
        convert = Records(self.downstream, {"pair": "pair", **{name: name for name in columns}}, "xywh")
        stem = os.path.basename(self.source)
        settings = {column: f"{name}_column" for name, column in columns.items()}
        for number, where, cells in self._cells(settings):
            record = {name: cells[column] for name, column in columns.items()}
            (row,) = convert.rows(record, f"{stem}:{number}", where, self.source, _no_image)
            if self.pair_column is not None and not row.fields["context"].strip():
                row = replace(row, problem=f"have a blank {self.pair_column}")
            yield row

    def _cells(self, settings: dict[str, str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield the number, the place and the cells of each row, by column.

        settings: the columns, each with the setting that names it, for messages.
        """
        extension = self._extension()
        if extension == ".parquet":
            with opened(self.source) as file:
                for number, record in enumerate(stream_rows(file, self.source, settings)):
                    yield number, f"row {number}", record
        elif extension in _DELIMITERS:
            delimiter = self.delimiter or _DELIMITERS[extension]
            quoting = self.quoting or ("none" if extension == ".tsv" else "double")
            for number, cells in separated(self.source, settings, delimiter, quoting):
                yield number, f"line {number}", cells
        else:
            for number, record in json_lines(self.source):
                check_keys(record, settings, f"line {number} of '{self.source}'")
                yield number, f"line {number}", record

    def _extension(self) -> str:
        extension = os.path.splitext(self.source)[1].lower()
        if extension not in _EXTENSIONS:
            raise DatasetError(
                f"'{self.source}' has none of the extensions {', '.join(_EXTENSIONS)}, which say what it is; rename it"
            )
        return extension


def _no_image() -> tuple[int, int]:
    raise BadSampleError("texts have no image")
