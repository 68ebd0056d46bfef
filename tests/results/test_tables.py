"""Tables in terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from emms.results.tables import add_numbers, fitting

ROWS = {"a-rather-long-name-of-a-model": ("0.1234 ± 0.0500", "12,345", "6"), "short": ("-1.0000 ± 0.2000", "9", "7")}
COLUMNS = {"score": 0, "features": 1, "a heading that is much wider than its cells": 2}


def build(optional):
    table = Table(padding=(0, 1, 0, 0))
    table.add_column("name", overflow="fold", min_width=8)
    shown = [c for c in COLUMNS if c == "score" or c in optional]
    for column in shown:
        add_numbers(table, column, [row[COLUMNS[column]] for row in ROWS.values()])
    for name, row in ROWS.items():
        table.add_row(name, *(row[COLUMNS[column]] for column in shown))
    return table


@pytest.mark.parametrize("width", range(30, 100))
def test_as_many_columns_as_fit_are_shown(width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(fitting(build, list(COLUMNS)[1:], width))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "0.1234 ± 0.0500" in text
    assert ("features" in text) == ("12,345" in text)
    assert ("wider" in text) == (" 6 " in text)
    assert ("features" in text) >= ("wider" in text)  # the first columns take precedence
    assert ("wider" in text) or width < 60
