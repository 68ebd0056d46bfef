"""Progress in a terminal or a notebook: the stage, and a bar with images per second for each model."""

from __future__ import annotations

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


class Terminal:
    """Shows progress while it is entered as a context.

    >>> with Terminal() as terminal:
    ...     emms.rank("spec.yaml", progress=terminal)
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._bars: dict[str, TaskID] = {}
        self._warned: set[str] = set()
        self._stopping = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stop(self) -> None:
        """Have the run stop: the work that reports next is interrupted. May be called from any thread."""
        self._stopping = True
        self.console.print("stopping …", highlight=False)

    def stage(self, name: str) -> None:
        """Say which stage begins. Raises KeyboardInterrupt if the run is to stop."""
        self._interrupt()
        self.console.print(f"{name} …", style="dim", markup=False, highlight=False)

    def advance(self, what: str, done: int, total: int) -> None:
        """Move the bar of a model or of the dataset. Raises KeyboardInterrupt if the run is to stop."""
        self._interrupt()
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, completed=done)
        self._progress.update(self._bars[what], completed=done, total=total)
        if done == total and not self.console.is_terminal:
            self.console.print(f"  {what}: {total:,} samples", markup=False, highlight=False)

    def failed(self, what: str, reason: str) -> None:
        """Say that a model is left out, and why."""
        if what in self._bars:
            self._progress.stop_task(self._bars[what])
        self.console.print(f"left out: {reason}", style="red", markup=False, highlight=False)

    def warn(self, message: str) -> None:
        """Show a warning, once."""
        if message in self._warned:
            return
        self._warned.add(message)
        self.console.print(f"warning: {message}", style="yellow", markup=False, highlight=False)

    def _interrupt(self) -> None:
        if self._stopping:
            raise KeyboardInterrupt


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")
