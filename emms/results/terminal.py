"""Show progress in a terminal or a notebook: the phase of the run, and one bar per model."""

from __future__ import annotations

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

LOG_S = 30.0
"""Seconds between two lines of the log, if there is no terminal for progress bars."""


class Terminal:
    """A listener that shows progress while it is entered as a context.

    `emms.rank` enters it: `emms.rank("spec.yaml", progress=Terminal())`.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Throughput(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._warned: set[str] = set()
        self._kept: dict[str, tuple[int, int]] = {}
        self._phase, self._began = "starting", time.monotonic()
        self._entered, self._stopping, self._left = 0, False, Event()

    def __enter__(self) -> Self:
        self._entered += 1
        if self._entered == 1:
            self._progress.start()
            if not self.console.is_terminal:
                self._left.clear()
                Thread(target=self._log, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if self._entered == 0:
            self._left.set()
            self._progress.stop()

    def stop(self) -> None:
        """Stop the run: the next call of `stage` or `advance` raises KeyboardInterrupt. May be called in any thread."""
        self._stopping = True
        self._print("stopping …")

    def kept(self, what: str, done: int, total: int) -> None:
        """Record how many samples of a model are in the store."""
        self._kept[what] = (done, total)

    def what_is_kept(self) -> str:
        """Return text on how many features are in the store."""
        if not self._kept:
            return "no features had been computed yet"
        parts = [f"{done:,} of {total:,} for {what}" for what, (done, total) in self._kept.items()]
        more = f" and {len(parts) - 3} more networks" if len(parts) > 3 else ""
        return f"features kept: {', '.join(parts[:3])}{more}"

    def stage(self, name: str) -> None:
        """Print the phase that begins. Raises KeyboardInterrupt if the run is to stop."""
        self._interrupt()
        self._phase, self._began = name, time.monotonic()
        self._print(f"{name} …", "dim")

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        """Update the bar of a model. Raises KeyboardInterrupt if the run is to stop."""
        self._interrupt()
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, completed=done, throughput=0.0)
        self._progress.update(self._bars[what], completed=done, total=total, throughput=throughput)
        if done == total and not self.console.is_terminal:
            self._print(f"  {what}: {total:,} samples")

    def failed(self, what: str, reason: str) -> None:
        """Print the reason why something is left out."""
        if what in self._bars:
            self._progress.stop_task(self._bars[what])
        self._print(f"left out: {reason}", "red")

    def warn(self, message: str) -> None:
        """Print a warning, once."""
        if message in self._warned:
            return
        self._warned.add(message)
        self._print(f"warning: {message}", "yellow")

    def _print(self, text: str, style: str | None = None) -> None:
        # A line of a log is one line, however long.
        one_line = not self.console.is_terminal
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=one_line)

    def _interrupt(self) -> None:
        if self._stopping:
            raise KeyboardInterrupt

    def _log(self) -> None:
        """Print a line every LOG_S seconds, so that users see that the process is not hanging."""
        while not self._left.wait(LOG_S):
            seconds = time.monotonic() - self._began
            running = [task for task in self._progress.tasks if not task.finished]
            parts = [f"{task.description} {task.completed:,.0f} of {task.total:,.0f}" for task in running[:2]]
            more = [f"{len(running) - 2} more"] if len(running) > 2 else []
            self._print(f"{self._phase}: {', '.join([*parts, *more]) or 'at work'}, for {seconds:,.0f} s")


class _Throughput(ProgressColumn):
    """Samples per second through the forward pass, as in the table of results."""

    def render(self, task: Task) -> Text:
        throughput = task.fields["throughput"]
        return Text(f"{throughput:,.0f}/s" if throughput else "", style="progress.data.speed")
