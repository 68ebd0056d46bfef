"""Table of a dry run for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text


def plan_table(steps: Iterable[tuple[str, str, str]]) -> Table:
    """Return a table of steps, each a tuple of its stage, its subject, and its state."""
    table = Table(header_style="bold")
    for heading in ("stage", "of", "state"):
        table.add_column(heading, overflow="fold")
    for stage, of, state in steps:
        table.add_row(stage, Text(of), Text(state))
    return table
