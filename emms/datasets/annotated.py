"""Base class of formats whose samples are listed in annotation files: captions, questions, expressions, texts."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from emms.datasets.annotated_columns import Columns
from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.clean_text import clean
from emms.datasets.images import read_image
from emms.datasets.merged_labels import class_key, merged
from emms.datasets.parquet_paths import NamedFiles
from emms.downstream import Downstream, Sample, downstream
from emms.errors import DatasetError, printable
from emms.paths import UserPath

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
    problem: str = ""
    """Why the sample is left out, as the end of `3 of 10 samples …`, such as `have no answer`; empty if it is not."""
    remark: str = ""
    """What may be wrong with it, though it is not left out, such as `have a box that is …`; counted in a note."""


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
        """List the samples. Rows with a problem, or a blank label or text, are left out, and counted in a note."""
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


class AnnotatedImages(Annotated):
    """Base class of formats whose images are files in a folder of their own."""

    path: UserPath = Field(description="The file of annotations.")
    images: UserPath = Field(description="The folder of the images.")

    @property
    def source(self) -> str:
        """Path of the annotations, for messages."""
        return os.path.abspath(self.path)

    @property
    def image_folder(self) -> str:
        """Folder of the images."""
        return os.path.abspath(self.images)


def list_rows(rows: Iterable[Row], task: Downstream, source: str, image_folder: str | None = "") -> Listing:
    """Return the listing of rows.

    Labels are numbered in sorted order if they are classes, else as they first occur. Classes that differ only in case
    or white space are one class. Control characters in texts become spaces.
    source: path of the annotations, for messages. image_folder: as the property of `Annotated`; with None the caller
    fills in `path` and `position`.

    Raises DatasetError if most rows are left out, if two have the same id, if no image exists, or if an image is
    outside of its folder.
    """
    columns, left_out, remarks = Columns(source), dict[str, list[str]](), dict[str, list[str]]()
    blank, with_image = _blank(task), "image" in task.inputs() and image_folder is not None
    optional = {task.columns[column] for column in task.optional}
    for row in rows:
        label, image = clean(row.label).strip(), clean(row.image).strip() if with_image else ""
        values = {name: clean(value) if isinstance(value, str) else value for name, value in row.fields.items()}
        missing = (
            not (class_key(label) if task.classes else label)
            or (with_image and not image)
            or any(isinstance(v, str) and not v.strip() for name, v in values.items() if name not in optional)
        )
        if row.problem or missing:
            left_out.setdefault(row.problem or blank, []).append(row.where)
        else:
            if row.remark:
                remarks.setdefault(row.remark, []).append(row.where)
            columns.add(clean(row.id), label, clean(row.where), image, values)
    count = sum(map(len, left_out.values())) + len(columns)
    notes = [_left_out(problem, places, count, source) for problem, places in left_out.items()]
    notes += [_counted(remark, places, count, source) for remark, places in remarks.items()]
    if not len(columns):
        raise DatasetError(f"'{source}' has no samples; check that it is the right file")
    samples, labels = columns.table(), list(columns.labels)
    if task.classes:
        numbers = samples["label"].to_numpy()
        labels, classes, note = merged(labels, np.bincount(numbers, minlength=len(labels)), source)
        samples = samples.with_columns(label=pl.Series(classes[numbers], dtype=pl.Int32))
        notes += [note] if note else []
    paths: pl.Expr | pl.Series = pl.lit("")
    if with_image and image_folder is not None:
        resolved, note = _image_paths(columns.images, source, image_folder)
        paths = pl.Series(resolved, dtype=pl.String).gather(samples["image"])
        notes += [note] if note else []
    others = [name for name in samples.columns if name not in {*LISTING.names(), "image"}]
    samples = samples.with_columns(path=paths, position=pl.lit(0, dtype=pl.Int64))
    return Listing(samples.select(*LISTING.names(), *others), labels, notes)


def _blank(task: Downstream) -> str:
    names = [task.label_column, *(column for column in task.columns if column not in task.optional)]
    return f"have a blank {' or '.join(dict.fromkeys(names))}"


def _left_out(problem: str, places: list[str], count: int, source: str) -> str:
    """Return the note about rows that are left out. Raises DatasetError if they are most of them."""
    if 2 * len(places) > count:
        text = _counted(problem, places, count, source)
        raise DatasetError(f"{text}; check that it is the right file, and that its settings are right")
    return _counted(f"{problem} and are left out", places, count, source)


def _counted(what: str, places: list[str], count: int, source: str) -> str:
    shown = ", ".join(printable(place) for place in places[:_SHOWN]) + (", …" if len(places) > _SHOWN else "")
    return f"{len(places)} of {count} samples of '{source}' {what} ({shown})"


def _image_paths(images: dict[str, str], source: str, folder: str) -> tuple[list[str], str]:
    """Return the path of each image, and a note about those that do not exist.

    images: the place where each image is named first.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise DatasetError(f"folder of images '{root}' does not exist; give it with `images:`")
    paths = NamedFiles(source, root, frozenset(), "images").resolve(images, list(images.values()))
    missing = [name for name, path in zip(images, paths, strict=True) if not os.path.exists(path or "")]
    if not missing:
        return [path or "" for path in paths], ""
    shown = ", ".join(f"'{printable(name)}'" for name in missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
    note = f"{len(missing)} of {len(images)} images that '{source}' names are not in '{root}' ({shown})"
    if len(missing) == len(images):
        raise DatasetError(f"{note}; give their folder with `images:`")
    return [path or "" for path in paths], note
