"""JSON Lines: one JSON object per line, with the columns of the task as keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from emms.datasets.annotated import Row
from emms.datasets.clean_text import clean
from emms.datasets.images import image_size
from emms.datasets.json_files import parse_json
from emms.datasets.parquet_paths import NamedFiles
from emms.datasets.task_table import TaskTable
from emms.datasets.text_files import lines
from emms.errors import BadSampleError, DatasetError, did_you_mean
from emms.paths import UserPath


class JsonLines(TaskTable):
    """Samples of any task as JSON objects, one per line, with images in files.

    An answer that is a list is its first element; each of a list of captions is a sample.
    """

    format: Literal["jsonl"] = "jsonl"
    path: UserPath = Field(description="The file.")
    images: UserPath | None = Field(
        None, description="The folder that images are relative to; all must be in it or below. Default: the file's."
    )

    @property
    def source(self) -> str:
        """Path of the file."""
        return os.path.abspath(self.path)

    @property
    def image_folder(self) -> str:
        """Folder of the images."""
        return os.path.dirname(self.source) if self.images is None else str(self.images)

    def rows(self) -> Iterator[Row]:
        """Yield the samples. Raises DatasetError, with the line, if one is not a JSON object or lacks a key."""
        convert, required = self.records(), {self.column(name): "columns" for name in self.required()}
        files = NamedFiles(self.source, os.path.abspath(self.image_folder), frozenset(), "images")
        has_image = "image" in self.downstream.inputs()
        for number, record in json_lines(self.source):
            where = f"line {number}"
            check_keys(record, required, f"{where} of '{self.source}'")
            image = record[self.column("image")] if has_image else ""
            if image is not None and not isinstance(image, str):
                raise DatasetError(f"the image in {where} of '{self.source}' is not the path of a file; fix it")
            image = clean(image or "").strip()

            def size(image: str = image, where: str = where) -> tuple[int, int]:
                (path,) = files.resolve([image], [where])
                if path is None:
                    raise BadSampleError("null or empty; give the line an image")
                return image_size(path)

            for row in convert.rows(record, f"{os.path.basename(self.source)}:{number}", where, self.source, size):
                yield replace(row, image=image)


def json_lines(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank. Raises DatasetError, with the line."""
    for number, line in lines(path):
        if line.strip():
            record = parse_json(line, f"line {number} of '{path}'")
            if not isinstance(record, dict):
                raise DatasetError(f"line {number} of '{path}' is not a JSON object; write one object per line")
            yield number, record


def check_keys(record: dict[str, Any], required: Mapping[str, str], where: str) -> None:
    """Raise DatasetError, with the place `where`, if a record lacks one of these keys.

    required: the keys, each with the setting that names it, for messages.
    """
    for key, setting in required.items():
        if key not in record:
            raise DatasetError(
                f"{where} has no key '{key}'{did_you_mean(key, record)} (its keys: {', '.join(record)}); name the "
                f"right one with `{setting}:`"
            )
