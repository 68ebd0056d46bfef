"""Read and decode samples once, and prepare them for every network of a pass."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from emms.datasets.base import Dataset
from emms.datasets.samples import Skipped
from emms.downstream import Sample
from emms.errors import BadSampleError, DatasetError, MissingDecoderError, UnavailableError
from emms.hardware import cores

Record = dict[str, Any]
Preparations = Mapping[Hashable, Callable[[Sample], np.ndarray]]
"""Functions that turn a sample into the input of a network; networks with equal keys share one."""

_PAUSES = (0.1, 0.5, 2.0)
"""Seconds to wait before each new attempt to read a file."""
_SCAN_S = 20.0
"""Time limit in seconds of the search for further samples that cannot be read, once one was found."""


class SampleUnavailableError(DatasetError, UnavailableError):
    """A listed sample temporarily cannot be read; trying again later may help."""


@dataclass(frozen=True)
class Batch:
    """Samples that were read together."""

    stop: int
    """Index of the record after the last one of the batch."""
    rows: np.ndarray
    """Indices of the records that can be read, (B,)."""
    inputs: dict[Hashable, np.ndarray | Exception]
    """Prepared samples, stacked, for each preparation; or the exception it raised."""
    skipped: list[Skipped]
    """Samples that cannot be read."""


def batches(
    dataset: Dataset, records: Sequence[Record], preparations: Preparations, start: int, size: int, ahead: int
) -> Iterator[Batch]:
    """Yield batches of `size` records from `start` on, read in threads, up to `ahead` batches in advance.

    preparations: may change during the iteration, so that those no longer needed can be removed.
    Raises DatasetError if a sample was removed, and SampleUnavailableError if it temporarily cannot be read.
    """

    def load(record: Record) -> dict[Hashable, np.ndarray | Exception] | BadSampleError:
        try:
            sample = read(dataset, record)
        except BadSampleError as bad:
            return bad
        inputs: dict[Hashable, np.ndarray | Exception] = {}
        for name, prepare in list(preparations.items()):
            try:
                inputs[name] = prepare(sample)
            except Exception as cause:  # possibly third-party code; the error only affects networks that use it
                inputs[name] = cause
        return inputs

    pool = ThreadPoolExecutor(cores(), thread_name_prefix="loader")
    try:
        waiting: deque[tuple[int, list[Future[Any]]]] = deque()
        for first in range(start, len(records), size):
            waiting.append((first, [pool.submit(load, record) for record in records[first : first + size]]))
            if len(waiting) > ahead:
                yield _to_batch(records, *waiting.popleft())
        while waiting:
            yield _to_batch(records, *waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


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


def _to_batch(records: Sequence[Record], first: int, futures: Sequence[Future[Any]]) -> Batch:
    rows, loaded, skipped = [], [], []
    for row, future in enumerate(futures, start=first):
        result = future.result()
        if isinstance(result, BadSampleError):
            skipped.append(Skipped(row=row, id=records[row]["id"], reason=str(result)))
        else:
            rows.append(row)
            loaded.append(result)
    inputs = {name: _stacked([sample[name] for sample in loaded if name in sample]) for name in (loaded or [{}])[0]}
    return Batch(first + len(futures), np.array(rows, dtype=np.int64), inputs, skipped)


def _stacked(prepared: list[np.ndarray | Exception]) -> np.ndarray | Exception:
    error = next((result for result in prepared if isinstance(result, Exception)), None)
    if error is not None:
        return error
    try:
        return np.stack(prepared)  # type: ignore[arg-type]
    except ValueError as cause:  # different shapes
        return cause
