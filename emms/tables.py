"""Tables for terminals of any width: what does not fit is left out, and said to be, instead of being cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table


def fitting(build: Callable[[Sequence[str]], Table], optional: Sequence[str], width: int) -> Table:
    """Return the table of as many optional columns, from the first on, as fit into a terminal of so many columns.

    build: makes the table with the optional columns it is given.
    """
    console = Console(width=width)
    options = console.options.update(width=10 * width)
    for shown in range(len(optional), 0, -1):
        table = build(optional[:shown])
        if console.measure(table, options=options).minimum <= width:
            return table
    return build([])
