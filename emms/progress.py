"""How progress is reported: a stage of a run tells the listener of whoever started the run."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """What hears of progress. Called from the thread that does the work.

    `stage` and `advance` may raise KeyboardInterrupt to stop the run: nothing takes that for a failure of a model.
    """

    def stage(self, name: str) -> None:
        """A stage of the run has begun."""

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        """Of `what` (a model), `done` of `total` samples are finished; called again and again.

        throughput: samples per second through the forward pass, the median so far.
        """

    def kept(self, what: str, done: int, total: int) -> None:
        """Of `what` (a model), the features of `done` of `total` samples are in the store."""

    def failed(self, what: str, reason: str) -> None:
        """`what` has failed; the run goes on without it."""

    def warn(self, message: str) -> None:
        """Something is not as it should be; the run goes on."""


class Silent:
    """Hears nothing. Subclass it to hear some of it."""

    def stage(self, name: str) -> None:
        """Ignore it."""

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        """Ignore it."""

    def kept(self, what: str, done: int, total: int) -> None:
        """Ignore it."""

    def failed(self, what: str, reason: str) -> None:
        """Ignore it."""

    def warn(self, message: str) -> None:
        """Ignore it."""


_SILENT = Silent()

listener: ContextVar[Listener] = ContextVar("listener", default=_SILENT)
"""The listener of the run this thread works for. Threads that Prefect starts inherit it; other machines are silent."""
