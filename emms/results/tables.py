"""Tables for terminals of any width: what does not fit is left out, and said to be, instead of being cut."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

HEADING = 12
"""A longer heading than this is broken, if the cells below it are not as wide."""


def add_whole(table: Table, heading: str, cells: Sequence[str]) -> None:
    """Add a column of numbers, which are never cut; cells are what will stand in it."""
    widest = max(map(cell_len, cells), default=0)
    lines = textwrap.wrap(heading, max(widest, HEADING))
    width = max(widest, *map(cell_len, lines))
    table.add_column("\n".join(lines), justify="right", no_wrap=True, min_width=width)


def fitting(build: Callable[[Sequence[str]], Table], optional: Sequence[str], width: int) -> Table:
    """Return the table of as many optional columns, from the first on, as fit into a terminal of so many columns.

    build: makes the table with the optional columns it is given, each column with its `min_width`.
    """
    for shown in range(len(optional), 0, -1):
        table = build(optional[:shown])
        if _least_width(table) <= width:
            return table
    return build([])


def _least_width(table: Table) -> int:
    bare = Table(box=table.box, padding=table.padding)
    for column in table.columns:
        bare.add_column(min_width=column.min_width)
    return Console(width=10_000).measure(bare).minimum
