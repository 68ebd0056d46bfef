"""Count, mean and scatter of features: additive, subtractable, and numerically stable for any mean."""

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
_BLOCK_BYTES = (
    32 * 2**20
)  # of float64 copies in memory at a time: large enough for BLAS, small compared to the features


@dataclass(frozen=True)
class LabelProducts:
    """Inner products of K sets of label embeddings, columns standardised.

    total: (K, K), <Z_j, Z_k>. explained: (K, K), tr(C_j' G^+ C_k), those of their projections on the column space of
    the features. columns: D2. They are all that EMMS needs: ||X w - Z t||^2 at the best w is t'(total - explained)t.
    """

    total: np.ndarray
    explained: np.ndarray
    columns: int


class Moments(ABC):
    """Additive statistics of N samples with D1 features and their labels.

    `update` adds a batch; `a + b` are the moments of both sets of samples; `total - part` those of the rest. Input
    may be float32; sums are float64 and about the mean (Chan, Golub and LeVeque, 1983), so that a large mean costs no
    precision. (A feature whose spread is below float32's rounding of its mean counts as constant, since features
    are assumed to be float32.) Memory does not depend on N. Moments must not be used after `update` has raised, since
    they may include a part of the batch.
    """

    kind: ClassVar[str]

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.mean = np.zeros(n_features)
        # Only the upper triangle is updated, which halves the work; in Fortran order, to which BLAS writes.
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
        """The column space of the centred features; computed once.

        Raises EstimatorError if the features are too large for float64 sums of squares.
        """
        return self.shrunk_space(None)

    def shrunk_space(self, penalties: np.ndarray | None) -> ColumnSpace:
        """Return the column space for ridge regression, with penalties (D1,) on the squares of the features' weights.

        Raises EstimatorError if the features are too large for float64 sums of squares.
        """
        self._check_squares()
        return ColumnSpace(self._scatter, self.mean, self.count, penalties)

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (D1,), ascending, and eigenvectors (D1, D1) of the uncentred X'X; computed once.

        Raises EstimatorError if the features are too large for float64 sums of squares.
        """
        self._check_squares()
        try:
            return np.linalg.eigh(self.scatter + self.count * np.outer(self.mean, self.mean))
        except np.linalg.LinAlgError as cause:
            raise EstimatorError(
                f"the features' covariance has no eigenvalues in float64 ({cause}); rescale the features"
            ) from cause

    def unit_penalties(self) -> np.ndarray:
        """Return the penalties (D1,) that are D1 for features standardised by these moments.

        This is a prior by which signal and noise have the same variance, for any number of features. For folds, use the
        moments of all samples: a feature that is almost constant outside the held-out fold would otherwise be
        multiplied by a huge number.
        """
        varying = varies(np.diag(self._scatter), self.mean, self.count)
        return np.count_nonzero(varying) * self.std**2

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each feature, (D1,), dividing by N."""
        return np.sqrt(np.diag(self._scatter) / max(self.count, 1))

    @abstractmethod
    def update(self, X: Any, labels: Any, /) -> Self:
        """Add a batch: features X (B, D1), and one class index or label embedding per sample.

        X may be a torch tensor; on a CUDA device, sums are computed there.
        Raises EstimatorError for nan, infinity, and shapes that do not match the moments.
        """

    @abstractmethod
    def label_products(
        self, label_embeddings: np.ndarray | None = None, space: ColumnSpace | None = None
    ) -> LabelProducts:
        """Return the inner products of label embeddings, columns standardised over the samples.

        space: one with penalties, for the penalised objective. Raises EstimatorError if the label embeddings do not
        match these moments.
        """

    @abstractmethod
    def label_variances(self, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return the largest variance of each encoder's standardised columns, (K,): 1 unless they hardly vary."""

    @abstractmethod
    def cross(self, weights: np.ndarray, label_embeddings: np.ndarray | None = None) -> np.ndarray:
        """Return (X - mean)' sum_k t_k Z_k, (D1, D2), for `weights` t (K,) and standardised label embeddings."""

    @abstractmethod
    def held_out(
        self, space: ColumnSpace, part: Self, weights: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Return the residual and total sums of squares, on other samples, of a regression fitted to these samples.

        The labels are sum_k t_k Z_k, for `weights` t (K,), standardised over these samples; `space` is the column space
        of these moments, with penalties or without; `part` are the moments of the other samples. Both sums are about
        the mean of these samples, over the samples of `part` and all columns.
        """

    def _residual(self, part: Self, coefficients: np.ndarray, cross: np.ndarray, squares: float) -> float:
        """Return ||(X - m) w - Y||^2 over the samples of `part`, with m the mean of these samples.

        coefficients: w (D1, m). cross: (X - m)'Y of `part`, (D1, m). squares: ||Y||^2.
        """
        shift = part.mean - self.mean
        fitted = dsymm(1.0, part._scatter, np.asfortranarray(coefficients))  # reads only the upper triangle
        explained = np.vdot(coefficients, fitted) + part.count * np.sum((shift @ coefficients) ** 2)
        return float(squares - 2 * np.vdot(coefficients, cross) + explained)

    @abstractmethod
    def raw_labels(
        self, basis: np.ndarray, label_embeddings: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return basis' X'Z and the columns' sums of squares, without centring.

        basis: (D1, r). Returned: (r, D2, K) and (D2, K).
        """

    def __add__(self, other: Self) -> Self:
        """Return the moments of both sets of samples. Raises EstimatorError if their shapes differ."""
        self._check_matches(other)
        return self._combined(other, sign=1)

    def __sub__(self, part: Self) -> Self:
        """Return the moments of the samples that are not in `part`, a subset of those of self."""
        self._check_matches(part)
        if part.count > self.count:
            raise EstimatorError(f"moments of {part.count} samples cannot be subtracted from those of {self.count}")
        rest = self._combined(part, sign=-1)
        squares = np.diag(self._scatter)
        if ((np.diag(rest._scatter) < -1e-6 * squares) & varies(squares, self.mean, self.count)).any():
            raise self._not_a_subset()
        return rest

    def _combined(self, other: Self, sign: int) -> Self:
        result = copy.copy(self)
        result._clear_cache()
        result.count = self.count + sign * other.count
        if result.count == 0:
            result.mean, result._scatter = np.zeros_like(self.mean), np.zeros_like(self._scatter)
            return result
        shift = other.mean - self.mean
        result.mean = self.mean + sign * other.count / result.count * shift
        between = sign * self.count * other.count / result.count
        result._scatter = np.asfortranarray(self._scatter + sign * other._scatter + between * np.outer(shift, shift))
        return result

    def _add(self, part: Self) -> Self:
        """Add `part` in place."""
        self.__dict__.update((self + part).__dict__)
        self._clear_cache()
        return self

    def _clear_cache(self) -> None:
        """Drop cached properties, which were computed from older sums."""
        for derived in ("scatter", "space", "eigen"):
            self.__dict__.pop(derived, None)

    def _check_squares(self) -> None:
        if not np.isfinite(np.diag(self._scatter) + self.count * self.mean * self.mean).all():
            raise EstimatorError("features are too large to square in float64; scale them, or leave the network out")

    def _not_a_subset(self) -> EstimatorError:
        return EstimatorError("moments can only be subtracted from moments that include the same samples")

    def _check_matches(self, other: Moments) -> None:
        if not isinstance(other, Moments):
            raise EstimatorError(f"moments can only be combined with moments, not with {type(other).__name__}")
        if type(self) is not type(other) or self._shape() != other._shape():
            raise EstimatorError(
                f"moments of different shape cannot be combined: {self.kind} {self._shape()} "
                f"and {other.kind} {other._shape()}; both must come from one network and one set of labels"
            )

    @abstractmethod
    def _shape(self) -> dict[str, int]:
        """Return the constructor's arguments."""

    def _absorb(self, block: np.ndarray, total: np.ndarray) -> float:
        """Add samples (B + 1, D1), the last row of which is scratch space; `total` is the sum of the others.

        The block is centred in place, and its last row is set to sqrt(n_a n_b / (n_a + n_b)) times the difference of
        the means, which turns the block's scatter into one about the common mean. Returns that factor.
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

    # As a table: one row per feature; small arrays and shapes are in the schema's metadata.

    def to_table(self) -> pa.Table:
        """Return the moments as a table of D1 rows; `from_table` restores them exactly."""
        columns = {"mean": self.mean, "scatter": self.scatter, **self._columns()}
        small = {name: np.ascontiguousarray(a, dtype="<f8").tobytes() for name, a in self._small_arrays().items()}
        about = {"kind": self.kind, "count": self.count, **self._shape()}
        metadata = {"moments": json.dumps(about).encode(), **small}
        return pa.table({name: _to_column(a) for name, a in columns.items()}).replace_schema_metadata(metadata)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Return the moments in a table written by `to_table`. Raises EstimatorError for any other table."""
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
                f"this table contains no {cls.kind} moments ({cause}); read one written by `to_table`"
            ) from cause
        return moments

    @abstractmethod
    def _columns(self) -> dict[str, np.ndarray]:
        """Return the arrays about labels with one row per feature."""

    @abstractmethod
    def _small_arrays(self) -> dict[str, np.ndarray]:
        """Return the other arrays about labels."""

    @abstractmethod
    def _restore(self, columns: dict[str, np.ndarray], small: dict[str, np.ndarray]) -> None:
        """Restore the arrays of `_columns` and `_small_arrays`; the latter are flat, and all are read-only."""


def blocks(n_samples: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield consecutive ranges of B samples, each with a buffer of (B + 1, width) float64 numbers.

    The buffer is reused, since writing to newly allocated memory is slow.
    """
    size = max(64, _BLOCK_BYTES // (8 * width))
    buffer = np.empty((min(size, n_samples) + 1, width))
    for start in range(0, n_samples, size):
        stop = min(start + size, n_samples)
        yield slice(start, stop), buffer[: stop - start + 1]


def _to_column(array: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _from_column(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        return array.flatten().to_numpy().reshape(len(array), -1)
    return array.to_numpy()
