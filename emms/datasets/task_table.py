"""Base class of formats with samples of any downstream task: tables with the columns that the task names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field

from emms.datasets.annotated import Annotated
from emms.datasets.base import LISTING, Listing
from emms.datasets.class_names import ClassNames, name_labels
from emms.datasets.records import SIZE_COLUMNS, Records
from emms.downstream import DOWNSTREAM, Downstream, downstream
from emms.errors import DatasetError, did_you_mean

_FIELDS = frozenset({"image", "text", "context", "caption", "answer_start"})


def renamed(listing: Listing, names: ClassNames | None, task: Downstream) -> Listing:
    """Return a listing with readable class names.

    Raises DatasetError if the task has no classes, or if one has no name.
    """
    if names is None:
        return listing
    if not task.classes:
        raise DatasetError(f"`class_names:` is set, but the labels of task '{task.name}' are not classes; remove it")
    labels, notes = name_labels([listing.labels], names)
    return Listing(listing.samples, labels, [*listing.notes, *notes])


def placed(listing: Listing, places: Mapping[str, tuple[str, int]]) -> Listing:
    """Return a listing with the file of each sample and its position there, given by id."""
    found = [places[id_] for id_ in listing.samples["id"]]
    columns = {"path": [path for path, _ in found], "position": [position for _, position in found]}
    schema = {name: LISTING[name] for name in columns}
    samples = listing.samples.with_columns(pl.DataFrame(columns, schema))
    return Listing(samples, listing.labels, listing.notes)


class _Fillable:
    """The names of all downstream tasks, also of other packages, whose samples have no fields but those of tables."""

    def __get__(self, instance: object, owner: type) -> frozenset[str]:
        return frozenset(name for name, task in DOWNSTREAM if task.inputs() <= _FIELDS)


class TaskTable(Annotated):
    """Base class of tables with samples of any task."""

    tasks = _Fillable()  # a plug-in may add tasks, which must not be imported with this file
    task: str | None = Field(None, description="The downstream task; the default is that of the run.")
    class_names: ClassNames | None = Field(
        None, description="Readable names for labels that are numbers or codes: a list, a mapping, or a file of either."
    )
    columns: dict[str, str] = Field(
        {},
        description="The file's names of the task's columns if they differ from the task's own, such as "
        "{caption: sentence}.",
    )
    boxes: Literal["xywh", "xyxy"] = Field(
        "xywh",
        description="What the four numbers of a box are, in pixels: left, top, width and height, or left, top, right "
        "and bottom.",
    )

    @property
    def downstream(self) -> Downstream:
        """The downstream task of the samples; image classification if none is set."""
        return downstream(self.task or DOWNSTREAM.names()[0])

    def for_task(self, task: str) -> Self:
        """Return this dataset with samples of a downstream task.

        Raises ValueError if tables cannot have them, if `task` is another one, or if `columns` names others than its
        or the same one twice.
        """
        super().for_task(task)
        if self.task not in (None, task):
            raise ValueError(f"the dataset's `task: {self.task}` is not the run's, '{task}'; remove it")
        chosen = self.model_copy(update={"task": task})
        known = [*chosen.required(), *chosen.optional()]
        for column in self.columns:
            if column not in known:
                raise ValueError(
                    f"`columns:` names '{column}', which task '{task}' does not have{did_you_mean(column, known)} "
                    f"(its columns: {', '.join(known)})"
                )
        chosen._check_different()
        return chosen

    def _check_different(self) -> None:
        """Raise ValueError if two columns of the task are the same one of the file: inputs would have the label."""
        names: dict[str, str] = {}
        for name in [*self.required(), *(name for name in self.downstream.optional if name in self.columns)]:
            other = names.setdefault(self.column(name), name)
            if other != name:
                raise ValueError(
                    f"'{other}' and '{name}' of task '{self.downstream.name}' are the same column of the file, "
                    f"'{self.column(name)}'; name the right one with `columns:`"
                )

    def listing(self) -> Listing:
        """List the samples. Records with a blank label or text are left out, and counted in a note."""
        return renamed(super().listing(), self.class_names, self.downstream)

    def required(self) -> list[str]:
        """Return the task's own names of the columns that the table must have; the label is last."""
        task = self.downstream
        return [*(c for c in task.columns if c not in task.optional | {task.label_column}), task.label_column]

    def optional(self) -> list[str]:
        """Return the task's own names of the columns that the table may have."""
        task = self.downstream
        return [*sorted(task.optional), *(SIZE_COLUMNS if task.label_column == "box" else ())]

    def column(self, name: str) -> str:
        """Return what the table calls a column of the task."""
        return self.columns.get(name, name)

    def records(self) -> Records:
        """Return what converts records of this table to rows."""
        names = {name: self.column(name) for name in (*self.required(), *self.optional())}
        return Records(self.downstream, names, self.boxes)

    def reading(self) -> dict[str, Any]:
        """Return what determines a sample, given its file and its fields in the listing: that it is an image file."""
        return {"reads": "image file"}
