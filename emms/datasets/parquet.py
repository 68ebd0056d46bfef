"""Parquet files with named columns, as Hugging Face datasets are published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal, Self

import pyarrow.parquet as pq
from pydantic import Field

from emms.datasets.annotated import Row, list_rows
from emms.datasets.base import Listing, Sample
from emms.datasets.class_names import ClassNames
from emms.datasets.images import image_size, read_image
from emms.datasets.parquet_classes import list_classes
from emms.datasets.parquet_files import opened, own_names, parquet_files, stream_rows
from emms.datasets.parquet_images import cell_image, cell_image_size, image_rows
from emms.datasets.task_table import TaskTable, placed, renamed
from emms.errors import DatasetError
from emms.paths import UserPath


class ParquetImages(TaskTable):
    """Samples of any task in the columns of one Parquet file, or of all Parquet files in a folder.

    A cell of the image column is the bytes of an image file, a struct of `bytes` and `path` as in Hugging Face
    datasets, or the path of an image file below `root`. A class is a string or an integer. An answer that is a list is
    its first element; each of a list of captions is a sample.
    """

    format: Literal["parquet"] = "parquet"
    path: UserPath = Field(description="A Parquet file, or a folder of *.parquet files.")
    image_column: str = Field("image", description="The column of images: bytes, structs of bytes and path, or paths.")
    label_column: str | None = Field(
        None,
        description="The column of labels; classes are strings or integers. The default is the task's name for it, "
        "such as label or caption.",
    )
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

    @property
    def source(self) -> str:
        """Path of the file or folder."""
        return os.path.abspath(self.path)

    def for_task(self, task: str) -> Self:
        """As `TaskTable.for_task`; also raises ValueError if two settings name the same column."""
        chosen = super().for_task(task)
        for setting, column in (("image_column", "image"), ("label_column", chosen.downstream.label_column)):
            if setting in self.model_fields_set and column in self.columns:
                raise ValueError(f"`{setting}:` and `columns:` both name the column of '{column}'; remove one")
        return chosen

    def column(self, name: str) -> str:
        """Return what the table calls a column of the task."""
        task = self.downstream
        if name == task.label_column and self.label_column is not None:
            return self.label_column
        return self.columns.get(name, self.image_column if name == "image" else name)

    def listing(self) -> Listing:
        """List the rows, file by file. In image classification, classes are in the order of their labels.

        Rows with a blank label or text are left out, and counted in a note, but in image classification a null label is
        an error.

        Raises DatasetError if a file is missing or damaged, a column is missing or of another type, a class has no
        name, files have different class names, or a cell names a file that is not below `root`.
        """
        if self.root is not None and not os.path.isdir(self.root):
            raise DatasetError(f"`root: {self.root}` is not a folder; give the folder that image paths are relative to")
        task, paths = self.downstream, parquet_files(self.source)
        if task.columns.keys() == {"image"} and task.classes:
            return list_classes(
                paths, self.column("image"), self.column(task.label_column), self.class_names, self._root()
            )
        places: dict[str, tuple[str, int]] = {}
        listing = list_rows(self._rows(paths, places), task, self.source, None)
        return renamed(placed(listing, places), self.class_names or self._own_names(paths), task)

    def rows(self) -> Iterator[Row]:
        """Yield the samples, without the places of their images."""
        yield from self._rows(parquet_files(self.source), {})

    def load(self, record: dict[str, Any]) -> Sample:
        """Load one sample; fast if images are loaded in about the order of the listing.

        Raises BadSampleError.
        """
        task = self.downstream
        values = {field.name: record[field.name] for field in fields(task.sample) if field.name in record}
        if "image" in task.inputs():
            path, row = record["path"], record["position"]
            values["image"] = cell_image(path, self.column("image"), row) if self._is_table(path) else read_image(path)
        return task.sample(**values)

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file and its position there."""
        has_image = "image" in self.downstream.inputs()
        return {"format": self.format, **({"image_column": self.column("image")} if has_image else {})}

    def _root(self) -> str | None:
        return None if self.root is None else os.path.abspath(self.root)

    def _is_table(self, path: str) -> bool:
        """Return whether a sample's file is one of the Parquet files, rather than an image that a cell names.

        The listing accepts no image in a cell whose name ends in '.parquet'.
        """
        return path == self.source or (os.path.dirname(path) == self.source and path.endswith(".parquet"))

    def _rows(self, paths: list[str], places: dict[str, tuple[str, int]]) -> Iterator[Row]:
        """Yield the samples, and add the file of each, and its position there, to `places`."""
        tables, image = frozenset(map(os.path.realpath, paths)), self.column("image")
        convert = self.records()
        for path in paths:
            with opened(path) as file:
                columns = self._settings(file)
                images = None
                if "image" in self.downstream.inputs():
                    images = image_rows(path, file, image, self._root(), tables)
                for number, record in enumerate(stream_rows(file, path, columns)):
                    name, place = os.path.basename(path), ("", 0)
                    if images is not None:
                        place = (images["path"][number], images["position"][number])

                    def size(place: tuple[str, int] = place) -> tuple[int, int]:
                        return (
                            cell_image_size(place[0], image, place[1])
                            if self._is_table(place[0])
                            else image_size(place[0])
                        )

                    for row in convert.rows(record, f"{name}:{number}", f"row {number}", path, size):
                        places[row.id] = place
                        yield row

    def _settings(self, file: pq.ParquetFile) -> dict[str, str]:
        """Return the columns to read besides the image, each with the setting that names it."""
        present = set(file.schema_arrow.names)
        names = [name for name in self.required() if name != "image"]
        names += [name for name in self.optional() if self.column(name) in present or name in self.columns]
        label = self.downstream.label_column if self.label_column is not None else None
        return {self.column(name): "label_column" if name == label else "columns" for name in names}

    def _own_names(self, paths: list[str]) -> list[str] | None:
        """Return the class names in the files' metadata. Raises DatasetError if they differ."""
        task = self.downstream
        if not task.classes:
            return None
        names = []
        for path in paths:
            with opened(path) as file:
                names.append(own_names(file, self.column(task.label_column)))
        if any(names[0] != others for others in names):
            raise DatasetError(f"the files in '{self.source}' have different class names; use files of one dataset")
        return names[0]
