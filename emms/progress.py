"""Progress reporting: the stages of a run report to the listener that was set when the run was started."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Interface of progress listeners. Methods are called from the thread that does the work.

    `stage` and `advance` may raise KeyboardInterrupt to stop the run; it is never treated as a failure of a model.
    """

    def stage(self, name: str) -> None:
        """Report that a stage of the run has begun."""

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        """Report that `done` of `total` samples of `what` (a model) are finished; called repeatedly.

        throughput: samples per second through the forward pass, the median so far.
        """

    def kept(self, what: str, done: int, total: int) -> None:
        """Report that the features of `done` of `total` samples of `what` (a model) are in the store."""

    def failed(self, what: str, reason: str) -> None:
        """Report that `what` has failed; the run continues without it."""

    def warn(self, message: str) -> None:
        """Report a warning; the run continues."""


class Silent:
    """A listener that ignores everything. Subclass it to implement only some of the methods."""

    def stage(self, name: str) -> None:
        """Do nothing."""

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        """Do nothing."""

    def kept(self, what: str, done: int, total: int) -> None:
        """Do nothing."""

    def failed(self, what: str, reason: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


_SILENT = Silent()

listener: ContextVar[Listener] = ContextVar("listener", default=_SILENT)
"""The listener of the current run. Threads that Prefect starts inherit it; tasks on other machines report nothing."""
