"""Interface of dataset formats: a listing of the samples, and loading of single samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import BaseModel, ConfigDict

from emms.downstream import Sample
from emms.downstream.image_classification import ImageClassification

LISTING = pl.Schema({"id": pl.String, "label": pl.Int32, "path": pl.String, "position": pl.Int64})
"""Columns of a listing: the sample's id, unique and the same on every machine; the index of its label in `labels`;
its local file, or "" if its other columns are all there is of it; its position in that file (0 if the file is a single
sample). Further columns are fields of the task's sample, such as `text`: strings, or integers (Int64)."""


@dataclass(frozen=True)
class Listing:
    """The samples of a dataset, in an order that is always the same, listed without decoding any of them."""

    samples: pl.DataFrame
    labels: list[str]
    """The different labels, such as class names; `samples["label"]` has indices into it."""
    notes: list[str] = field(default_factory=list)
    """Warnings, such as about files that are not read."""


class Dataset(BaseModel, ABC):
    """Base class of dataset formats. The fields of a subclass are the settings of the format in a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: ClassVar[frozenset[str]] = frozenset({ImageClassification.name})
    """The downstream tasks whose samples this format can load."""

    format: str

    @property
    def name(self) -> str:
        """Name of the dataset in the results: that of its file or folder, or of its format."""
        path = getattr(self, "path", None)
        return Path(path).expanduser().absolute().name.removesuffix(".parquet") if path else self.format

    def for_task(self, task: str) -> Self:
        """Return this dataset with samples of a downstream task. Raises ValueError if it has none."""
        if task not in self.tasks:
            raise ValueError(f"dataset format '{self.format}' has no samples for task '{task}'")
        return self

    @abstractmethod
    def listing(self) -> Listing:
        """List the samples.

        Raises DatasetError if the dataset is missing, empty or inconsistent.
        """

    def reading(self) -> dict[str, Any]:
        """Return, as JSON, the settings that determine what is read from a sample's file at its position.

        By default all settings except the path. Exclude settings that only say where files are, or name labels.
        """
        return self.model_dump(mode="json", exclude={"path"})

    @abstractmethod
    def load(self, record: dict[str, Any]) -> Sample:
        """Load the sample of one row of the listing, `record`. Called from several threads at once.

        Returns an instance of the `sample` class of the downstream task.

        Raises BadSampleError, with the reason and the remedy but not the sample's id, if it cannot be read.
        """
