"""Errors that a user can fix: each names the thing, the cause and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EMMSError(ValueError):
    """Something the user asked for cannot be done; the message says what, why and what to do."""


class SpecError(EMMSError):
    """The specification of a run is wrong."""


class DatasetError(EMMSError):
    """The dataset cannot be used as it is."""


class BadSampleError(DatasetError):
    """One sample of a dataset cannot be read; `on_bad_sample: skip` leaves it out."""


class ModelError(EMMSError):
    """A candidate network cannot be used: its name, its weights or what it computes."""


class UnavailableError(EMMSError):
    """Something on the network cannot be had now, and may be had later."""


class UnreachableError(UnavailableError):
    """There is no way to it at all: no network, or offline mode. Trying again at once would end the same."""


class LabelEncoderError(EMMSError):
    """A label encoder cannot be used: its name, its weights or what it computes."""


class EstimatorError(EMMSError):
    """An estimator cannot be computed from what it was given."""


class StoreError(EMMSError):
    """The store or the output folder cannot be read or written."""


class DamagedError(StoreError):
    """An artifact was found damaged when it was read. It is absent from then on, so that it can be computed again."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x' or 'y'?` for the nearest of the known names, or nothing if none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
