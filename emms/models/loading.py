"""Read and decode samples once, and prepare them for every network of a pass."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from emms.datasets.base import Dataset
from emms.datasets.samples import Skipped
from emms.downstream import Sample
from emms.errors import BadSampleError, DatasetError, MissingDecoderError, UnavailableError
from emms.hardware import cores

Record = dict[str, Any]

_PAUSES = (0.1, 0.5, 2.0)
"""Seconds to wait before each new attempt to read a file."""
_SCAN_S = 20.0
"""Time limit in seconds of the search for further samples that cannot be read, once one was found."""


class SampleUnavailableError(DatasetError, UnavailableError):
    """A listed sample temporarily cannot be read; trying again later may help."""


@dataclass(frozen=True)
class Preparation:
    """How samples become the input of networks; networks with equal preparations share it."""

    prepare: Callable[[Any], Any]
    reads: frozenset[str]
    """The fields of a sample that `prepare` uses."""
    ragged: bool
    """Whether inputs differ in length, so that they are not stacked."""


@dataclass(frozen=True)
class Inputs:
    """The prepared samples of a batch, each distinct one once."""

    distinct: Any
    """The distinct prepared samples: stacked (M, …), or a list of M if they are ragged."""
    index: np.ndarray
    """For each sample of the batch, its row in `distinct`, (B,)."""


@dataclass(frozen=True)
class Batch:
    """Samples that were read together."""

    stop: int
    """Index of the record after the last one of the batch."""
    rows: np.ndarray
    """Indices of the records that can be read, (B,)."""
    inputs: dict[Hashable, Inputs | Exception]
    """The prepared samples for each preparation; or the exception it raised."""
    skipped: list[Skipped]
    """Samples that cannot be read."""


def batches(
    dataset: Dataset,
    records: Sequence[Record],
    preparations: Mapping[Hashable, Preparation],
    start: int,
    size: int,
    ahead: int,
) -> Iterator[Batch]:
    """Yield batches of `size` records from `start` on, read in threads, up to `ahead` batches in advance.

    Within a batch, records of the same position of the same file are decoded once, and records with the same fields are
    prepared once. No file is read if all fields are in the records.

    preparations: may change during the iteration, so that those no longer needed can be removed.
    Raises DatasetError if a sample was removed, and SampleUnavailableError if it temporarily cannot be read.
    """
    pool = ThreadPoolExecutor(cores(), thread_name_prefix="loader")
    try:
        waiting: deque[tuple[int, int, list[tuple[list[int], Future[Any]]]]] = deque()
        for first in range(start, len(records), size):
            stop = min(first + size, len(records))
            groups = _groups(records, range(first, stop), preparations)
            loading = [(rows, pool.submit(_load, dataset, [records[r] for r in rows], preparations)) for rows in groups]
            waiting.append((first, stop, loading))
            if len(waiting) > ahead:
                yield _to_batch(records, *waiting.popleft(), preparations)
        while waiting:
            yield _to_batch(records, *waiting.popleft(), preparations)
    finally:
        pool.shutdown(cancel_futures=True)


def _groups(
    records: Sequence[Record], rows: range, preparations: Mapping[Hashable, Preparation]
) -> Collection[list[int]]:
    """Group rows that are at the same position of the same file, if the file is read."""
    groups: dict[Hashable, list[int]] = {}
    for row in rows:
        record = records[row]
        source = (record["path"], record["position"]) if _in_file(record, preparations) else row
        groups.setdefault(source, []).append(row)
    return groups.values()


def _in_file(record: Record, preparations: Mapping[Hashable, Preparation]) -> bool:
    return any(not preparation.reads <= record.keys() for preparation in list(preparations.values()))


def _load(
    dataset: Dataset, records: Sequence[Record], preparations: Mapping[Hashable, Preparation]
) -> list[dict[Hashable, Any]] | BadSampleError:
    """Return the prepared samples, or exceptions, of records with the same file and position; read the file once."""
    sample: Any = None
    if _in_file(records[0], preparations):
        try:
            sample = read(dataset, records[0])
        except BadSampleError as bad:
            return bad
    loaded, known = [], dict[Hashable, Any]()
    for record in records:
        if sample is None:
            one: Any = SimpleNamespace(**record)
        else:
            one = replace(sample, **{f.name: record[f.name] for f in fields(sample) if f.name in record})
        inputs = {}
        for name, preparation in list(preparations.items()):
            key = (name, _fields(record, preparation))
            if key not in known:
                try:
                    known[key] = preparation.prepare(one)
                except Exception as cause:  # possibly third-party code; the error only affects networks that use it
                    known[key] = cause
            inputs[name] = known[key]
        loaded.append(inputs)
    return loaded


def _fields(record: Record, preparation: Preparation) -> Hashable:
    """Return what determines the input of a network for a record."""
    of_file = () if preparation.reads <= record.keys() else (record["path"], record["position"], record.get("digest"))
    return *(record[name] for name in sorted(preparation.reads & record.keys())), *of_file


def read(dataset: Dataset, record: Record) -> Sample:
    """Read one sample; try again after errors of the file system, which do not mean that the sample is bad.

    Raises BadSampleError if the content of the file cannot be read, DatasetError if the file was removed or its decoder
    is not installed, and SampleUnavailableError if it still cannot be read after several attempts.
    """
    for pause in (*_PAUSES, None):
        try:
            return dataset.load(record)
        except MissingDecoderError as missing:  # not recorded as a bad sample: another machine may be able to read it
            raise DatasetError(f"sample '{record['id']}' cannot be read: {missing}") from missing
        except BadSampleError as bad:
            cause = bad.__cause__
            # A file without a digest could not be opened when it was listed either, so it is a bad sample.
            if not (isinstance(cause, OSError) and cause.errno and record.get("digest", "")):
                raise
            if cause.errno == errno.ENOENT:
                raise DatasetError(
                    f"sample '{record['id']}' was removed after the run began; restore it, or run again"
                ) from bad
            if pause is None:
                raise SampleUnavailableError(
                    f"sample '{record['id']}' temporarily cannot be read ({cause.strerror}); run again later: "
                    f"what was computed is kept"
                ) from bad
        time.sleep(pause)
    raise AssertionError("unreachable")


def find_unreadable(dataset: Dataset, records: pl.DataFrame, first: int) -> tuple[list[Skipped], int]:
    """Decode samples until a time limit; return those that cannot be read, and the number of decoded samples.

    first: the row of the first record among all samples.
    """

    def reason(record: Record) -> str | None:
        try:
            dataset.load(record)
        except BadSampleError as bad:
            return str(bad)
        return None

    until, skipped, checked = time.monotonic() + _SCAN_S, list[Skipped](), 0
    with ThreadPoolExecutor(cores()) as pool:
        for part in records.iter_slices(16 * cores()):
            reasons = pool.map(reason, part.iter_rows(named=True))
            for row, (sample, why) in enumerate(zip(part["id"], reasons, strict=True), start=first + checked):
                if why is not None:
                    skipped.append(Skipped(row=row, id=sample, reason=why))
            checked += len(part)
            if time.monotonic() > until:
                break
    return skipped, checked


def _to_batch(
    records: Sequence[Record],
    first: int,
    stop: int,
    loading: Sequence[tuple[list[int], Future[Any]]],
    preparations: Mapping[Hashable, Preparation],
) -> Batch:
    loaded: dict[int, dict[Hashable, Any]] = {}
    skipped: list[Skipped] = []
    for rows, future in loading:
        result = future.result()
        if isinstance(result, BadSampleError):
            skipped += [Skipped(row=row, id=records[row]["id"], reason=str(result)) for row in rows]
        else:
            loaded.update(zip(rows, result, strict=True))
    rows = sorted(loaded)
    inputs: dict[Hashable, Inputs | Exception] = {}
    for name, preparation in list(preparations.items()):
        if all(name in loaded[row] for row in rows):  # a preparation that was removed meanwhile may be missing
            keys = [_fields(records[row], preparation) for row in rows]
            distinct = {key: loaded[row][name] for key, row in zip(keys, rows, strict=True)}
            number = {key: index for index, key in enumerate(distinct)}
            prepared = _stacked(list(distinct.values()), preparation.ragged)
            index = np.array([number[key] for key in keys], dtype=np.int64)
            inputs[name] = prepared if isinstance(prepared, Exception) else Inputs(prepared, index)
    skipped.sort(key=lambda bad: bad.row)
    return Batch(stop, np.array(rows, dtype=np.int64), inputs, skipped)


def _stacked(prepared: list[Any], ragged: bool) -> Any:
    """Return prepared samples as one array, or as they are if they are ragged; or the first exception among them."""
    error = next((result for result in prepared if isinstance(result, Exception)), None)
    if error is not None or ragged or not prepared:
        return error or prepared
    try:
        return np.stack(prepared)
    except ValueError as cause:  # different shapes
        return cause
