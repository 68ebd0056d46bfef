"""Base class of formats whose samples are listed in annotation files: captions, questions, expressions, texts."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import polars as pl

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.images import read_image
from emms.datasets.parquet_paths import NamedFiles
from emms.downstream import Downstream, Sample, downstream
from emms.errors import DatasetError, printable

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One sample as the annotations have it."""

    id: str
    label: str
    """Its label as text; several lines are several texts, whose embeddings are averaged."""
    where: str
    """Its place in the annotations for messages, such as `line 12`."""
    image: str = ""
    """Path of its image, relative to the folder of images; empty if the task has no images."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the task's sample other than the image, such as `text`."""


class Annotated(Dataset):
    """Base class of formats with annotations in files of their own. Subclasses yield `rows`."""

    @property
    def downstream(self) -> Downstream:
        """The downstream task of the samples: the only one of the format, unless a subclass says otherwise."""
        (task,) = self.tasks
        return downstream(task)

    @property
    @abstractmethod
    def source(self) -> str:
        """Path of the annotations, for messages."""

    @property
    def image_folder(self) -> str:
        """Folder that the rows' images are relative to, and that contains them; empty if there are no images."""
        return ""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield the samples in the order of the annotations.

        Raises DatasetError, with the file and the line or key, if the annotations cannot be read.
        """

    def listing(self) -> Listing:
        """List the samples. Rows with a blank label or text are left out, and counted in a note."""
        return list_rows(self.rows(), self.downstream, self.source, self.image_folder)

    def load(self, record: dict[str, Any]) -> Sample:
        """Load one sample. Raises BadSampleError if its image cannot be read."""
        sample = self.downstream.sample
        values = {f.name: record[f.name] for f in fields(sample) if f.name in record}
        if "image" in self.downstream.inputs():
            values["image"] = read_image(record["path"])
        return sample(**values)

    def reading(self) -> dict[str, Any]:
        """Return what determines a sample, given its file and its fields in the listing: that it is an image file."""
        return {"reads": "image file"}


def list_rows(rows: Iterable[Row], task: Downstream, source: str, image_folder: str | None = "") -> Listing:
    """Return the listing of rows. Labels are numbered in sorted order if they are classes, else as they first occur.

    source: path of the annotations, for messages. image_folder: as the property of `Annotated`; with None the caller
    fills in `path` and `position`.

    Raises DatasetError if most rows have a blank label or text, if no image exists, or if an image is outside of its
    folder.
    """
    kept, blank = list[Row](), list[str]()
    for row in rows:
        if row.label.strip() and all(not isinstance(v, str) or v.strip() for v in _required(row, task)):
            kept.append(row)
        else:
            blank.append(row.where)
    notes = [_left_out(blank, len(kept), source, task)] if blank else []
    if not kept:
        raise DatasetError(f"'{source}' has no samples; check that it is the right file")
    names = dict.fromkeys(row.label.strip() for row in kept)
    labels = sorted(names) if task.classes else list(names)
    index = {label: number for number, label in enumerate(labels)}
    paths, missing = [""] * len(kept), ""
    if "image" in task.inputs() and image_folder is not None:
        paths, missing = _image_paths(kept, source, image_folder)
    columns: dict[str, Any] = {
        "id": [row.id for row in kept],
        "label": [index[row.label.strip()] for row in kept],
        "path": paths,
        "position": [0] * len(kept),
    }
    schema = dict(LISTING)
    for name in dict.fromkeys(name for row in kept for name in row.fields):
        column = [row.fields.get(name) for row in kept]
        columns[name] = column
        schema[name] = pl.Int64() if isinstance(column[0], int) else pl.String()
    return Listing(pl.DataFrame(columns, schema), labels, notes + ([missing] if missing else []))


def _required(row: Row, task: Downstream) -> Iterator[Any]:
    optional = {task.columns[column] for column in task.optional}
    return (value for name, value in row.fields.items() if name not in optional)


def _left_out(blank: list[str], kept: int, source: str, task: Downstream) -> str:
    """Return the note about rows that are left out. Raises DatasetError if they are most of them."""
    shown = ", ".join(printable(where) for where in blank[:_SHOWN]) + (", …" if len(blank) > _SHOWN else "")
    what = " or ".join([*(c for c, f in task.columns.items() if f != "image" and c not in task.optional)])
    problem = f"{len(blank)} of {len(blank) + kept} samples of '{source}' have a blank {task.label_column} or {what}"
    if len(blank) > kept:
        raise DatasetError(f"{problem} ({shown}); check that it is the right file, and that its columns are right")
    return f"{problem} and are left out ({shown})"


def _image_paths(rows: list[Row], source: str, folder: str) -> tuple[list[str], str]:
    """Return the path of each row's image, and a note about those that do not exist."""
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise DatasetError(f"folder of images '{root}' does not exist; give it with `images:`")
    names = list(dict.fromkeys(row.image for row in rows))
    resolved = dict(zip(names, NamedFiles(source, root, frozenset()).resolve(names), strict=True))
    missing = [name for name in names if not os.path.exists(resolved[name] or "")]
    note = ""
    if missing:
        shown = ", ".join(f"'{printable(name)}'" for name in missing[:_SHOWN]) + (
            ", …" if len(missing) > _SHOWN else ""
        )
        note = f"{len(missing)} of {len(names)} images that '{source}' names are not in '{root}' ({shown})"
        if len(missing) == len(names):
            raise DatasetError(f"{note}; give their folder with `images:`")
    return [resolved[row.image] or "" for row in rows], note
