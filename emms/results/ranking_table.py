"""Table of a ranking for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from emms.results.tables import add_numbers, fitting
from emms.results.uncertainty import BEST


def ranking_table(frame: pl.DataFrame, scores: pl.DataFrame, throughput: str, width: int) -> Table:
    """Return a ranking and its scores as a table for a terminal of `width` characters.

    In a narrow terminal, names are folded and columns are left out; the caption says in which file they are.
    """
    # The estimator of the ranking is first, even if `scores` starts with another one.
    first, *others = pl.concat([frame["estimator"], scores["estimator"]]).unique(maintain_order=True)
    facts = ("features", "M params", throughput)
    has_intervals = frame["low"].null_count() < len(frame)
    by_pair = {(row["model"], row["estimator"]): row["score"] for row in scores.iter_rows(named=True)}
    tied = set(frame["rank"].filter(frame["rank"].is_duplicated()))
    # Among three candidates or fewer, all are among the best three.
    chances = ["best 3"] if has_intervals and len(frame) > BEST else []

    def cell(row: dict[str, Any], column: str, optional: Sequence[str]) -> str:
        if column == "best 3":
            return f"{row['best_3']:.0%}"
        if column == "features":
            return f"{row['features']:,}"
        if column == "M params":
            return f"{row['parameters_m']:.1f}"
        if column == throughput:
            return f"{row['samples_per_second']:.0f}"
        half = f" ± {(row['high'] - row['low']) / 2:.4f}" if column == first and "±" in optional else ""
        return _number(by_pair.get((row["model"], column))) + half

    def build(optional: Sequence[str]) -> Table:
        shown = [first, *(name for name in (*others, *chances, *facts) if name in optional)]
        hidden = {
            "scores.parquet": [name for name in others if name not in optional],
            "ranking.csv": [name for name in (*chances, *facts) if name not in optional],
        }
        caption = "\n".join(f"{file} has also: {', '.join(names)}" for file, names in hidden.items() if names)
        table = Table(
            box=SIMPLE_HEAD,
            header_style="bold",
            padding=(0, 1, 0, 0),
            caption=caption or None,
            caption_justify="left",
        )
        rows = list(frame.iter_rows(named=True))
        ranks = [f"{row['rank']}{'=' if row['rank'] in tied else ' '}" for row in rows]
        add_numbers(table, "rank", ranks)
        table.add_column("model", overflow="fold", min_width=16 if optional else 8)
        cells = [[cell(row, name, optional) for row in rows] for name in shown]
        for name, column in zip(shown, cells, strict=True):
            add_numbers(table, name, column)
        for row, rank, *numbers in zip(rows, ranks, *cells, strict=True):
            table.add_row(rank, Text(row["model"]), *numbers, style=None if row["trained"] else "dim")
        return table

    return fitting(build, [*(["±"] if has_intervals else []), *chances, *facts, *others], width)


def _number(score: float | None) -> str:
    """Format a score for the table; one that rounds to zero has no sign."""
    return "-" if score is None else f"{score:z.4f}"
