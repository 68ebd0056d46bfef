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
    """Something on the network is not available now; it may be later."""


class UnreachableError(UnavailableError):
    """There is no network, or downloads are switched off: trying again at once would fail again."""


class LabelEncoderError(EMMSError):
    """A label encoder cannot be used: its name, its weights or what it computes."""


class EstimatorError(EMMSError):
    """An estimator cannot be computed from what it was given."""


class StoreError(EMMSError):
    """The store or the output folder cannot be read or written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x' or 'y'?` for the nearest of the known names, or nothing if none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def shortened(cause: BaseException) -> str:
    """Return the first two lines of an error's message, cut between words if they are long."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = " ".join(lines[:2]) or type(cause).__name__
    return text if len(text) <= 300 else text[:300].rpartition(" ")[0].rstrip(",") + " …"
