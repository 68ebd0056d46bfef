"""Features of your own as a candidate, for networks that no library here loads: one row per sample in a file."""

from __future__ import annotations

import zipfile
from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from emms.errors import ModelError
from emms.files import check_regular
from emms.models.base import Candidate, Digests, Forward, Size, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

VERSION = 1  # raise it if the code changes features


class OwnFeatures(Candidate):
    """`{source: features, path: mine.npz}`: rows by the ids of samples.

    An .npz file has the arrays `id` (N,) and `features` (N, D1); a Parquet file has a column `id`, and a column
    `features` of lists of D1 numbers, or D1 columns of numbers. Rows of other samples are ignored.
    """

    reads = frozenset({"id"})

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return no names, since features are in files of your own."""
        return []

    def check(self) -> None:
        """Raise ModelError if the file cannot be read or has other content, or for an option of other networks."""
        for name, field in type(self.spec).model_fields.items():
            if name not in {"source", "name", "path", "alias"} and getattr(self.spec, name) != field.default:
                raise self._error(f"has `{name}:`, which does not apply to features in a file; remove it")
        self._table  # noqa: B018

    def size(self) -> Size:
        """Return the number of columns; the number of parameters is not known and counts as 0."""
        return Size(self._table[1].shape[1], 0)

    def network(self, digests: Digests) -> dict[str, Any]:
        """Return the digest of the file."""
        try:
            return {"family": "features in a file", "version": VERSION, "file": digests([str(self._path)])[0]}
        except OSError as cause:
            raise self._error(f"cannot be read: {cause.strerror}; fix the file or its permissions") from cause

    def preprocessing(self) -> dict[str, Any]:
        """Return nothing, since features are used as they are."""
        return {}

    def sharing(self) -> Hashable:
        """Return the path of the file."""
        return str(self._path)

    def prepare(self, sample: Any) -> np.ndarray:
        """Return the features of a sample, (D1,) float32. Raises ModelError if the file has none."""
        rows, features = self._table
        if sample.id not in rows:
            raise self._error(
                f"has no row for sample '{sample.id}' (its first row is '{next(iter(rows))}'); give a row for each "
                f"sample, by the ids that the store's samples.parquet has"
            )
        return features[rows[sample.id]]

    def load(self, device: torch.device) -> Forward:
        """Return a network that returns its input."""
        return _Unchanged()

    @property
    def _path(self) -> Path:
        if self.spec.path is None:
            raise self._error("has no `path:`; give an .npz or Parquet file with a row for each sample")
        return self.spec.path

    @cached_property
    def _table(self) -> tuple[dict[str, int], np.ndarray]:
        """The row of each id, and the features, (N, D1) float32."""
        try:
            check_regular(str(self._path))
            ids, features = (_from_npz if self._path.suffix == ".npz" else _from_parquet)(self._path)
        except OSError as cause:
            raise self._error(f"cannot be read: {cause.strerror or cause}; give the path of the file") from cause
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, pl.exceptions.PolarsError) as cause:
            raise self._error(
                f"cannot be read: {str(cause).partition(chr(10))[0]}; an .npz file needs arrays `id` (N,) and "
                f"`features` (N, D1), a Parquet file a column `id` and a column `features` of lists, or columns of "
                f"numbers"
            ) from cause
        if features.ndim != 2 or not features.size or len(ids) != len(features):
            raise self._error(
                f"has {len(ids)} ids and features of shape {features.shape}; they must be (N,) and (N, D1)"
            )
        rows = {name: row for row, name in enumerate(ids)}
        if len(rows) < len(ids):
            repeated = next(name for row, name in enumerate(ids) if rows[name] != row)
            raise self._error(f"has more than one row with the id '{repeated}'; remove all but one")
        return rows, np.ascontiguousarray(features, dtype=np.float32)

    def _error(self, problem: str) -> ModelError:
        return ModelError(f"model '{self.spec.id}' {problem}")


def _from_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        ids, features = arrays["id"], arrays["features"]
    if features.dtype.kind not in "fiu":
        raise ValueError(f"features have type {features.dtype}, not numbers")
    return [str(name) for name in ids.reshape(-1)], features


def _from_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    table = pl.read_parquet(path)
    ids = [str(name) for name in table["id"]]
    if "features" in table.columns:
        column = table["features"]
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        lists = column.cast(pl.List(pl.Float32))
        widths = lists.list.len().unique()
        if len(widths) != 1 or lists.explode().null_count():
            raise ValueError("lists of features have nulls or different lengths")
        return ids, lists.explode().to_numpy().reshape(len(lists), -1)
    return ids, table.drop("id").cast(pl.Float32).to_numpy()


class _Unchanged(Forward):
    parameters = 0

    def __call__(self, batch: np.ndarray, views: Sequence[View]) -> list[torch.Tensor]:
        """Return the batch."""
        import torch

        return [torch.from_numpy(batch) for _ in views]
