"""What every dataset format gives: a listing of its samples, and any one of them when asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict

LISTING = pl.Schema({"id": pl.String, "label": pl.Int32, "path": pl.String, "position": pl.Int64})
"""Columns of a listing: the sample's name, unique and the same on every machine; the index of its label in `labels`;
the local file it lies in; its position in that file (0 where a file is one sample)."""


@dataclass(frozen=True)
class Listing:
    """What a dataset holds, known without decoding a sample. Rows are in an order that never changes by itself."""

    samples: pl.DataFrame
    labels: list[str]
    """What the labels say, each once: class names for classification. `samples["label"]` points into it."""
    notes: list[str] = field(default_factory=list)
    """What the run should warn about, in plain sentences."""


@dataclass(frozen=True)
class Sample:
    """One sample, ready for any network's preprocessing."""

    id: str
    image: Image
    """In mode RGB, upright."""


class Dataset(BaseModel, ABC):
    """One published format: its settings are the fields, as they stand in a spec; the rest is how it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: ClassVar[frozenset[str]] = frozenset({"image-classification"})
    """The tasks whose samples this format can give."""

    format: str

    @property
    def name(self) -> str:
        """What the dataset is called in the results: the name of its file or folder, or of its format."""
        path = getattr(self, "path", None)
        return Path(path).expanduser().absolute().name.removesuffix(".parquet") if path else self.format

    @abstractmethod
    def listing(self) -> Listing:
        """List the samples.

        Raises DatasetError when the dataset is missing, empty, or contradicts itself.
        """

    @abstractmethod
    def load(self, record: dict[str, Any]) -> Sample:
        """Read one sample; `record` is a row of the listing. Called from several threads at once.

        Raises BadSampleError, with the reason and the remedy but not the sample's id, when it cannot be read.
        """
