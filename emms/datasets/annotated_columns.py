"""Columns of a listing that grow by one sample at a time, in little memory."""

from __future__ import annotations

from typing import Any

import polars as pl

from emms.errors import DatasetError, printable

_CHUNK = 1 << 16  # samples that are held as Python objects, which take several times the memory of a column
_INT64 = range(-(1 << 63), 1 << 63)


class Columns:
    """The samples of one file of annotations, `source`."""

    def __init__(self, source: str) -> None:
        self.labels: dict[str, int] = {}
        """The number of each label, in the order in which they first occur."""
        self.images: dict[str, str] = {}
        """The place where each image is named first, in the order in which they first occur."""
        self._source = source
        self._numbers: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pl.DataFrame] = []
        self._kinds: dict[str, Any] = {"id": pl.String, "label": pl.Int32, "image": pl.Int32, "where": pl.String}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, name: str, label: str, where: str, image: str, values: dict[str, Any]) -> None:
        """Add a sample with an id, a label, its place in the annotations, its image and further fields.

        Raises DatasetError for an integer that is too large.
        """
        for key, value in values.items():
            if isinstance(value, int):
                if value not in _INT64:
                    raise DatasetError(f"{where} of '{self._source}' has a number that is too large; fix it")
                self._kinds[key] = pl.Int64
            elif key not in self._kinds:
                self._kinds[key] = pl.String
        number = self._numbers.setdefault(image, len(self._numbers))
        if number == len(self.images):
            self.images[image] = where
        label_number = self.labels.setdefault(label, len(self.labels))
        self._rows.append({"id": name, "label": label_number, "image": number, "where": where, **values})
        self._count += 1
        if len(self._rows) == _CHUNK:
            self._flush()

    def table(self) -> pl.DataFrame:
        """Return all samples. Raises DatasetError if two have the same id."""
        self._flush()
        samples = pl.concat(self._chunks, how="diagonal_relaxed", rechunk=True)
        twice = samples.filter(samples["id"].is_duplicated())
        if len(twice):
            places = twice.filter(twice["id"] == twice["id"][0])["where"]
            raise DatasetError(
                f"{printable(places[0])} and {printable(places[1])} of '{self._source}' have the same id, "
                f"'{printable(twice['id'][0])}'; make ids unique, or remove one of the two"
            )
        return samples.drop("where")

    def _flush(self) -> None:
        if self._rows:
            self._chunks.append(pl.DataFrame(self._rows, self._kinds))
            self._rows.clear()
