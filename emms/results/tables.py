"""Tables for terminals of any width: columns that do not fit are left out, not truncated."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

HEADING = 12
"""Headings longer than this are wrapped, unless the cells are as wide."""


def add_numbers(table: Table, heading: str, cells: Sequence[str]) -> None:
    """Add a column of numbers that is never truncated; cells: its future content."""
    widest = max(map(cell_len, cells), default=0)
    lines = textwrap.wrap(heading, max(widest, HEADING))
    width = max(widest, *map(cell_len, lines))
    table.add_column("\n".join(lines), justify="right", no_wrap=True, min_width=width)


def fitting(build: Callable[[Sequence[str]], Table], optional: Sequence[str], width: int) -> Table:
    """Return a table with as many of the first optional columns as fit into a terminal of `width` characters.

    build: returns the table with these optional columns; each column has a `min_width`.
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
