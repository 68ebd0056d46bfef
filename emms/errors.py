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


class MissingDecoderError(BadSampleError):
    """A sample cannot be read on this machine, since a package is not installed that others may have."""


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


class DamagedError(StoreError):
    """An artifact was found damaged when it was read. It is absent from then on, so that it can be computed again."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x' or 'y'?` for the known names that are nearest, or nothing if none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def printable(text: object, limit: int | None = 200) -> str:
    """Return text as a message can show it, on one line.

    Control characters, terminal escape sequences and other characters that cannot be printed become Python escapes
    such as `\\x1b`. Of a text of more than `limit` characters the middle is left out.
    """
    text = str(text)
    if limit is not None and len(text) > limit:
        text = f"{text[: limit * 2 // 3]} … {text[-limit // 3 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(cause: BaseException) -> str:
    """Return the first two lines of an error's message, cut between words if they are long."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = " ".join(lines[:2]) or type(cause).__name__
    return text if len(text) <= 300 else text[:300].rpartition(" ")[0].rstrip(",") + " …"
