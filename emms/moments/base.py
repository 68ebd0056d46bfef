"""Count, mean and scatter of features: exact to float64 whatever the features' mean, additive, subtractable."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from scipy.linalg.blas import dsymm, dsyrk

from emms.errors import EstimatorError
from emms.moments.projection import ColumnSpace, varies

EPSILON = 1e-8
"""Added to a standard deviation before dividing by it, so that a constant column becomes zero."""
_BLOCK_BYTES = 32 * 2**20  # of float64 copies in memory at a time: large enough for BLAS, small beside the features


@dataclass(frozen=True)
class LabelProducts:
    """K sets of label embeddings, columns standardised, as the features' moments see them.

    total: (K, K), <Z_j, Z_k>. explained: (K, K), tr(C_j' G^+ C_k), the part of it that lies in the column space of
    the features. columns: D2. Together they hold everything EMMS asks: ||X w - Z t||^2 at the best w is
    t'(total - explained)t.
    """

    total: np.ndarray
    explained: np.ndarray
    columns: int


class Moments(ABC):
    """What estimators need to know of N samples of D1 features and their labels, as sums that add.

    `update` takes in a batch; `a + b` is the moments of both sets of samples; `total - part` those of the rest. Input
    may be float32; sums are float64, taken about the mean (Chan, Golub and LeVeque, 1983), so a large mean costs no
    digits. (A feature whose spread is below float32's rounding of its mean counts as constant all the same: features
    are taken to be float32.) Nothing that is as long as the dataset is kept. Moments whose `update` raised are of no
    more use: a part of the batch may be in them.
    """

    kind: ClassVar[str]

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.mean = np.zeros(n_features)
        # Only the upper triangle is kept up to date, which halves the work; Fortran order is what BLAS writes to.
        self._scatter = np.zeros((n_features, n_features), order="F")

    @property
    def n_features(self) -> int:
        """D1, the dimension of the features."""
        return len(self.mean)

    @cached_property
    def scatter(self) -> np.ndarray:
        """Sum of (x - mean)(x - mean)', (D1, D1)."""
        upper = np.triu(self._scatter)
        return upper + np.triu(upper, 1).T

    @cached_property
    def space(self) -> ColumnSpace:
        """The space that the centred feature columns span; computed once.

        Raises EstimatorError when the features are too large for float64 sums of squares.
        """
        return self.shrunk_space(None)

    def shrunk_space(self, penalties: np.ndarray | None) -> ColumnSpace:
        """Return the space of ridge regression with penalties (D1,), one for the square of each feature's weight.

        Raises EstimatorError when the features are too large for float64 sums of squares.
        """
        self._check_squares()
        return ColumnSpace(self._scatter, self.mean, self.count, penalties)

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (D1,), ascending, and eigenvectors (D1, D1) of the uncentred X'X; computed once.

        Raises EstimatorError when the features are too large for float64 sums of squares.
        """
        self._check_squares()
        try:
            return np.linalg.eigh(self.scatter + self.count * np.outer(self.mean, self.mean))
        except np.linalg.LinAlgError as cause:
            raise EstimatorError(
                f"the features' covariance has no eigenvalues in float64 ({cause}); bring the features to one scale"
            ) from cause

    def unit_penalties(self) -> np.ndarray:
        """Return a penalty of D1 for features standardised by these moments, in the features' own units, (D1,).

        It is a prior by which all features together explain as much as there is noise, however many they are. For
        folds, take the units of all samples: a feature that is all but constant outside the held-out fold would
        otherwise be blown up in it.
        """
        varying = varies(np.diag(self._scatter), self.mean, self.count)
        return np.count_nonzero(varying) * self.std**2

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each feature, (D1,), dividing by N."""
        return np.sqrt(np.diag(self._scatter) / max(self.count, 1))

    @abstractmethod
    def update(self, X: Any, labels: Any, /) -> Self:
        """Take in a batch: features X (B, D1), and one class index or label embedding a sample.

        X may be a torch tensor: if it is on a CUDA device, it is summed up there.
        Raises EstimatorError for nan, infinity, and what does not fit the moments' shapes.
        """

    @abstractmethod
    def label_products(
        self, label_embeddings: np.ndarray | None = None, space: ColumnSpace | None = None
    ) -> LabelProducts:
        """Return what EMMS needs to know of label embeddings, columns standardised over the samples.

        space: a shrunk one, for the penalised objective. Raises EstimatorError when they do not belong to these
        moments.
        """

    @abstractmethod
    def label_variances(self, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return the largest variance of each encoder's columns, standardised, (K,): 1 unless they hardly vary."""

    @abstractmethod
    def cross(self, weights: np.ndarray, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return (X - mean)' sum_k t_k Z_k, (D1, D2), for `weights` t (K,) and standardised label embeddings."""

    @abstractmethod
    def held_out(
        self, space: ColumnSpace, part: Self, weights: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Return what a regression on these samples leaves of other samples' labels, and what there was to explain.

        The labels are sum_k t_k Z_k, for `weights` t (K,), standardised over these samples; `space` is these moments'
        own, shrunk or not; `part` are the moments of the other samples. Both numbers are sums of squares about these
        samples' mean, over the samples of `part` and all columns.
        """

    def _residual(self, part: Self, coefficients: np.ndarray, cross: np.ndarray, squares: float) -> float:
        """Return ||(X - m) w - Y||^2 over the samples of `part`, with m the mean of these samples.

        coefficients: w (D1, m). cross: (X - m)'Y of `part`, (D1, m). squares: ||Y||^2.
        """
        away = part.mean - self.mean
        fitted = dsymm(1.0, part._scatter, np.asfortranarray(coefficients))  # reads the upper triangle alone
        explained = np.vdot(coefficients, fitted) + part.count * np.sum((away @ coefficients) ** 2)
        return float(squares - 2 * np.vdot(coefficients, cross) + explained)

    @abstractmethod
    def raw_labels(
        self, basis: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return basis' X'Z and the columns' sums of squares, of labels and features as they are, nothing centred.

        basis: (D1, r). Returned: (r, D2, K) and (D2, K).
        """

    def __add__(self, other: Self) -> Self:
        """Moments of the samples of both. Raises EstimatorError when their shapes differ."""
        self._check_matches(other)
        return self._combined(other, sign=1)

    def __sub__(self, part: Self) -> Self:
        """Moments of the samples that are not in `part`, which must be among those in self."""
        self._check_matches(part)
        if part.count > self.count:
            raise EstimatorError(f"moments of {part.count} samples cannot be taken out of those of {self.count}")
        rest = self._combined(part, sign=-1)
        squares = np.diag(self._scatter)
        if ((np.diag(rest._scatter) < -1e-6 * squares) & varies(squares, self.mean, self.count)).any():
            raise self._not_among()
        return rest

    def _combined(self, other: Self, sign: int) -> Self:
        result = copy.copy(self)
        result._forget()
        result.count = self.count + sign * other.count
        if result.count == 0:
            result.mean, result._scatter = np.zeros_like(self.mean), np.zeros_like(self._scatter)
            return result
        apart = other.mean - self.mean
        result.mean = self.mean + sign * other.count / result.count * apart
        between = sign * self.count * other.count / result.count
        result._scatter = np.asfortranarray(self._scatter + sign * other._scatter + between * np.outer(apart, apart))
        return result

    def _take_in(self, part: Self) -> Self:
        """Become the moments of the samples of both."""
        self.__dict__.update((self + part).__dict__)
        self._forget()
        return self

    def _forget(self) -> None:
        """Drop what was derived from older sums."""
        for derived in ("scatter", "space", "eigen"):
            self.__dict__.pop(derived, None)

    def _check_squares(self) -> None:
        if not np.isfinite(np.diag(self._scatter) + self.count * self.mean * self.mean).all():
            raise EstimatorError("features are too large to square in float64; scale them, or leave the network out")

    def _not_among(self) -> EstimatorError:
        return EstimatorError("moments can only be taken out of those that they were added to; these samples were not")

    def _check_matches(self, other: Moments) -> None:
        if not isinstance(other, Moments):
            raise EstimatorError(f"moments go with moments, not with {type(other).__name__}")
        if type(self) is not type(other) or self._shape() != other._shape():
            raise EstimatorError(
                f"moments of different shape cannot be combined: {self.kind} {self._shape()} "
                f"and {other.kind} {other._shape()}; both must come from one network and one set of labels"
            )

    @abstractmethod
    def _shape(self) -> dict[str, int]:
        """The constructor's arguments."""

    def _absorb(self, block: np.ndarray, total: np.ndarray) -> float:
        """Take in samples (B + 1, D1) whose last row is free to write to; `total` is the sum of the others.

        The block is centred in place, and its last row becomes what makes the block's own scatter one about the
        common mean: sqrt(n_a n_b / (n_a + n_b)) times the distance of the two means. Returns that factor.
        """
        added = len(block) - 1
        block_mean = total / added
        factor = np.sqrt(self.count * added / (self.count + added))
        block[-1] = (block_mean - self.mean) * factor
        block[:-1] -= block_mean
        # The transpose of a C-ordered block is Fortran-ordered: BLAS reads it and adds to the sum in place.
        self._scatter = dsyrk(1.0, block.T, beta=1.0, c=self._scatter, overwrite_c=1)
        self.count += added
        self.mean = self.mean + (block_mean - self.mean) * (added / self.count)
        return float(factor)

    # As a table: one row a feature; small arrays and shapes in the schema's metadata.

    def to_table(self) -> pa.Table:
        """Return the moments as a table of D1 rows, fit to be stored; `from_table` gives them back exactly."""
        columns = {"mean": self.mean, "scatter": self.scatter, **self._columns()}
        small = {name: np.ascontiguousarray(a, dtype="<f8").tobytes() for name, a in self._small_arrays().items()}
        about = {"kind": self.kind, "count": self.count, **self._shape()}
        metadata = {"moments": json.dumps(about).encode(), **small}
        return pa.table({name: _to_column(a) for name, a in columns.items()}).replace_schema_metadata(metadata)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Return the moments that `to_table` made a table of. Raises EstimatorError for any other table."""
        metadata = table.schema.metadata or {}
        try:
            about = json.loads(metadata[b"moments"])
            kind, count = about.pop("kind"), about.pop("count")
            if kind != cls.kind or table.num_rows != about["n_features"]:
                raise ValueError(f"{table.num_rows} rows of {kind} moments")
            moments = cls(**about)
            moments.count = count
            moments.mean = _from_column(table["mean"])
            moments._scatter = np.array(_from_column(table["scatter"]), order="F")
            small = {name: np.frombuffer(metadata[name.encode()], dtype="<f8") for name in moments._small_arrays()}
            moments._restore({name: _from_column(table[name]) for name in moments._columns()}, small)
        except (KeyError, TypeError, ValueError) as cause:
            raise EstimatorError(
                f"this table holds no {cls.kind} moments ({cause}); read one that `to_table` made"
            ) from cause
        return moments

    @abstractmethod
    def _columns(self) -> dict[str, np.ndarray]:
        """Arrays of the labels' part with one row a feature."""

    @abstractmethod
    def _small_arrays(self) -> dict[str, np.ndarray]:
        """The other arrays of the labels' part."""

    @abstractmethod
    def _restore(self, columns: dict[str, np.ndarray], small: dict[str, np.ndarray]) -> None:
        """Take back what `_columns` and `_small_arrays` gave; the small ones come flat, and none can be written to."""


def blocks(n_samples: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ranges of B samples that cover all, each with room for B + 1 rows of `width` float64 numbers.

    The room is the same each time: memory that is written to for the first time is slow.
    """
    size = max(64, _BLOCK_BYTES // (8 * width))
    room = np.empty((min(size, n_samples) + 1, width))
    for start in range(0, n_samples, size):
        stop = min(start + size, n_samples)
        yield slice(start, stop), room[: stop - start + 1]


def _to_column(array: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _from_column(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        return array.flatten().to_numpy().reshape(len(array), -1)
    return array.to_numpy()
