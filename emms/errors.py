"""Errors that a user can fix. Each message names what is affected, the cause and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EMMSError(ValueError):
    """Base class of errors that a user can fix; the message says what failed, why, and what to do."""


class SpecError(EMMSError):
    """The spec of a run is invalid."""


class DatasetError(EMMSError):
    """The dataset cannot be used as it is."""


class BadSampleError(DatasetError):
    """One sample of a dataset cannot be read; `on_bad_sample: skip` leaves it out."""


class MissingDecoderError(BadSampleError):
    """A sample cannot be read because a package is not installed on this machine."""


class ModelError(EMMSError):
    """A candidate network cannot be used, because of its name, its weights or its output."""


class UnavailableError(EMMSError):
    """A download or a file is temporarily unavailable; trying again later may help."""


class UnreachableError(UnavailableError):
    """There is no network connection, or downloads are switched off, so that an immediate retry would fail again."""


class LabelEncoderError(EMMSError):
    """A label encoder cannot be used, because of its name, its weights or its output."""


class EstimatorError(EMMSError):
    """An estimator has invalid settings or cannot be computed from its input."""


class StoreError(EMMSError):
    """The store or the output folder cannot be read or written."""


class DamagedError(StoreError):
    """An artifact turned out to be damaged when it was read. It then counts as absent and is computed again."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x' or 'y'?` for the most similar known names, or an empty string if none is similar."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def printable(text: object, limit: int | None = 200) -> str:
    """Return text on one line, safe to print.

    Control characters, terminal escape sequences and other characters that cannot be printed become Python escapes
    such as `\\x1b`. A text longer than `limit` characters is shortened in the middle.
    """
    text = str(text)
    if limit is not None and len(text) > limit:
        text = f"{text[: limit * 2 // 3]} … {text[-limit // 3 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(cause: BaseException) -> str:
    """Return the first two lines of an error's message, shortened to 300 characters."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = " ".join(lines[:2]) or type(cause).__name__
    return text if len(text) <= 300 else text[:300].rpartition(" ")[0].rstrip(",") + " …"
