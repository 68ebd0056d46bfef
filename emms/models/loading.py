"""Samples read and decoded once, and prepared for every network of a pass."""

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
"""What turns a sample into the input of a network; networks with equal keys share one preparation."""

_PAUSES = (0.1, 0.5, 2.0)
"""Seconds before a file is read again that could not be read just now."""
_SCAN_S = 20.0
"""Seconds to look for further samples that cannot be read, once there is one."""


class SampleUnavailableError(DatasetError, UnavailableError):
    """A sample that was there when the run began cannot be read just now; it may be again later."""


@dataclass(frozen=True)
class Batch:
    """Samples that were read together."""

    stop: int
    """The place, among the records, of the sample after the last one."""
    rows: np.ndarray
    """Places of the samples that can be read, (B,)."""
    inputs: dict[Hashable, np.ndarray | Exception]
    """Prepared samples, stacked, for each preparation; or why it failed."""
    skipped: list[Skipped]
    """Samples that cannot be read."""


def batches(
    dataset: Dataset, records: Sequence[Record], preparations: Preparations, start: int, size: int, ahead: int
) -> Iterator[Batch]:
    """Read records from `start` on, `size` at a time and `ahead` batches before they are asked for, in threads.

    preparations: looked at for each sample, so that those no longer needed can be removed meanwhile.
    Raises DatasetError if a sample has gone, and SampleUnavailableError if it cannot be read just now.
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
            except Exception as cause:  # a preparation may be foreign code; it concerns its own networks alone
                inputs[name] = cause
        return inputs

    pool = ThreadPoolExecutor(cores(), thread_name_prefix="loader")
    try:
        waiting: deque[tuple[int, list[Future[Any]]]] = deque()
        for first in range(start, len(records), size):
            waiting.append((first, [pool.submit(load, record) for record in records[first : first + size]]))
            if len(waiting) > ahead:
                yield _gathered(records, *waiting.popleft())
        while waiting:
            yield _gathered(records, *waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def read(dataset: Dataset, record: Record) -> Sample:
    """Read one sample; where the file system fails, which says nothing about the sample, try again.

    Raises BadSampleError if what is in the file cannot be read, DatasetError if the file has gone or its decoder is not
    installed, and SampleUnavailableError if it still cannot be read after several tries.
    """
    for pause in (*_PAUSES, None):
        try:
            return dataset.load(record)
        except MissingDecoderError as missing:  # not to be remembered: another machine may read it
            raise DatasetError(f"sample '{record['id']}' cannot be read: {missing}") from missing
        except BadSampleError as bad:
            cause = bad.__cause__
            # A file without digest could not be opened when it was listed: that is how it is.
            if not (isinstance(cause, OSError) and cause.errno and record.get("digest", "")):
                raise
            if cause.errno == errno.ENOENT:
                raise DatasetError(
                    f"sample '{record['id']}' has gone since the run began; restore it, or run again"
                ) from bad
            if pause is None:
                raise SampleUnavailableError(
                    f"sample '{record['id']}' cannot be read just now ({cause.strerror}); run again when it can be: "
                    f"what was computed is kept"
                ) from bad
        time.sleep(pause)
    raise AssertionError("unreachable")


def find_unreadable(dataset: Dataset, records: pl.DataFrame, first: int) -> tuple[list[Skipped], int]:
    """Decode samples, for some seconds at most; return those that cannot be read, and how many were looked at.

    first: the row of the first record among all samples.
    """

    def reason(record: Record) -> str | None:
        try:
            dataset.load(record)
        except BadSampleError as bad:
            return str(bad)
        return None

    until, skipped, looked_at = time.monotonic() + _SCAN_S, list[Skipped](), 0
    with ThreadPoolExecutor(cores()) as pool:
        for part in records.iter_slices(16 * cores()):
            reasons = pool.map(reason, part.iter_rows(named=True))
            for row, (sample, why) in enumerate(zip(part["id"], reasons, strict=True), start=first + looked_at):
                if why is not None:
                    skipped.append(Skipped(row=row, id=sample, reason=why))
            looked_at += len(part)
            if time.monotonic() > until:
                break
    return skipped, looked_at


def _gathered(records: Sequence[Record], first: int, futures: Sequence[Future[Any]]) -> Batch:
    rows, loaded, skipped = [], [], []
    for place, future in enumerate(futures, start=first):
        result = future.result()
        if isinstance(result, BadSampleError):
            skipped.append(Skipped(row=place, id=records[place]["id"], reason=str(result)))
        else:
            rows.append(place)
            loaded.append(result)
    inputs = {name: _stacked([sample[name] for sample in loaded if name in sample]) for name in (loaded or [{}])[0]}
    return Batch(first + len(futures), np.array(rows, dtype=np.int64), inputs, skipped)


def _stacked(prepared: list[np.ndarray | Exception]) -> np.ndarray | Exception:
    failed = next((one for one in prepared if isinstance(one, Exception)), None)
    if failed is not None:
        return failed
    try:
        return np.stack(prepared)  # type: ignore[arg-type]
    except ValueError as cause:  # of different shapes
        return cause
