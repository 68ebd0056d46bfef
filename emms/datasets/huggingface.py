"""Hugging Face datasets, from the hub or a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal

from pydantic import ConfigDict, Field

from emms.datasets.annotated import Row, list_rows
from emms.datasets.arrow_files import DAMAGED, arrow_image, arrow_rows, arrow_table, named_images
from emms.datasets.base import Listing, Sample
from emms.datasets.huggingface_files import Split, load_split
from emms.datasets.images import image_size, read_image
from emms.datasets.parquet_paths import NamedFiles
from emms.datasets.task_table import TaskTable, placed, renamed
from emms.errors import DatasetError, did_you_mean
from emms.paths import UserPath

_ARROW = ".arrow"


class HuggingFace(TaskTable):
    """Samples of any task in a Hugging Face dataset, on the hub or in a folder. Needs the package `datasets`.

    A folder is one that `save_to_disk` has written, or one with files that the library reads, such as Parquet. Names of
    classes are those of the dataset. An answer that is a list is its first element; each of a list of captions is a
    sample.
    """

    # `name` is a property of datasets
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    format: Literal["huggingface"] = "huggingface"
    dataset: str = Field(
        alias="name", min_length=1, description="The dataset on the hub, such as rajpurkar/squad, or a folder."
    )
    config: str | None = Field(None, description="The configuration, if the dataset has several.")
    split: str = Field("train", description="The split, such as train.")
    root: UserPath | None = Field(
        None,
        description="The folder that paths in a column of images are relative to; all images must be in it or below. "
        "The default is the dataset's folder, or Hugging Face's cache.",
    )

    @property
    def name(self) -> str:
        """Name of the dataset in the results."""
        return os.path.basename(self.dataset.rstrip("/")) or self.dataset

    @property
    def source(self) -> str:
        """Name of the dataset and its split, for messages."""
        return f"{self.dataset} ({self.split})"

    def listing(self) -> Listing:
        """List the rows. Those with a blank label or text, or with the class -1, are left out, and counted in a note.

        Raises DatasetError if the dataset cannot be loaded, has other columns, or names an image that is not below
        `root`.
        """
        places: dict[str, tuple[str, int]] = {}
        listing = list_rows(self._rows(places), self.downstream, self.source, None)
        return renamed(placed(listing, places), self.class_names, self.downstream)

    def rows(self) -> Iterator[Row]:
        """Yield the samples, without the places of their images."""
        yield from self._rows({})

    def load(self, record: dict[str, Any]) -> Sample:
        """Load one sample. Raises BadSampleError if its image cannot be read."""
        task = self.downstream
        values = {field.name: record[field.name] for field in fields(task.sample) if field.name in record}
        if "image" in task.inputs():
            path, row = record["path"], record["position"]
            in_cell = path.endswith(_ARROW)
            values["image"] = read_image(arrow_image(path, self.column("image"), row) if in_cell else path)
        return task.sample(**values)

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file and its position there."""
        has_image = "image" in self.downstream.inputs()
        return {"format": self.format, **({"image_column": self.column("image")} if has_image else {})}

    def _rows(self, places: dict[str, tuple[str, int]]) -> Iterator[Row]:
        """Yield the samples, and add the file of each, and its position there, to `places`."""
        split, folder = load_split(self.dataset, self.config, self.split)
        root = folder if self.root is None else os.path.abspath(self.root)
        columns, convert, count = self._columns(split), self.records(), 0
        names = {} if self.class_names is not None else split.class_names
        for path in split.files:
            try:
                table = arrow_table(path)
                images = self._images(path, root)
                for position, record in enumerate(arrow_rows(table, path, columns)):
                    for column in names.keys() & record.keys():
                        record[column] = _class_name(record[column], names[column])
                    place = images[position] if images else ("", 0)

                    def size(place: tuple[str, int] = place) -> tuple[int, int]:
                        path, row = place
                        in_cell = path.endswith(_ARROW)
                        return image_size(arrow_image(path, self.column("image"), row) if in_cell else path)

                    for row in convert.rows(record, f"{self.split}:{count}", f"row {count}", self.source, size):
                        places[row.id] = place
                        yield row
                    count += 1
            except DAMAGED as cause:
                raise DatasetError(f"'{path}' cannot be read as Arrow: {cause}; restore it") from cause
        if count != split.rows:
            raise DatasetError(
                f"the files of '{self.source}' have {count} rows, but the dataset has {split.rows}; save it again"
            )

    def _images(self, path: str, root: str) -> list[tuple[str, int]]:
        """Return the file of each row's image, and its position there; nothing if the task has no images."""
        if "image" not in self.downstream.inputs():
            return []
        named = named_images(path, self.column("image"))
        files = NamedFiles(self.source, root, frozenset()).resolve(named)
        for name, file in zip(named, files, strict=True):
            if file is not None and file.endswith(_ARROW):
                raise DatasetError(
                    f"'{self.source}' names '{name}', which is an Arrow file, not an image; fix the path"
                )
        return [(path, row) if file is None else (file, 0) for row, file in enumerate(files)]

    def _columns(self, split: Split) -> list[str]:
        """Return the columns to read besides the image. Raises DatasetError if one is missing."""
        needed = [self.column(name) for name in self.required()]
        chosen = [self.column(name) for name in self.optional() if name in self.columns]
        for column in [*needed, *chosen]:
            if column not in split.columns:
                raise DatasetError(
                    f"'{self.source}' has no column '{column}'{did_you_mean(column, split.columns)} (its columns: "
                    f"{', '.join(split.columns)}); name the right one with `columns:`"
                )
        there = [self.column(name) for name in self.optional() if self.column(name) in split.columns]
        image = {self.column("image")} if "image" in self.downstream.inputs() else set()
        return [column for column in dict.fromkeys([*needed, *there]) if column not in image]


def _class_name(value: Any, names: list[str]) -> Any:
    """Return the name of a class; None for -1, which stands for an unknown class."""
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
