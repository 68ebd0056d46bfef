"""Table of an evaluation for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from rich.table import Table
from rich.text import Text

from emms.evaluation import METRICS
from emms.results.tables import add_numbers, fitting


def evaluation_table(evaluation: pl.DataFrame, width: int) -> Table:
    """Return a table of an evaluation, with as many metrics as fit into `width` characters."""
    first, *others = METRICS

    def build(metrics: Sequence[str]) -> Table:
        shown = Table(header_style="bold")
        for name in ("dataset", "estimator"):
            shown.add_column(name, overflow="fold", min_width=9)
        columns = {"models": [str(n) for n in evaluation["n_models"]]}
        columns |= {m: ["-" if v is None else f"{v:.3f}" for v in evaluation[m]] for m in (first, *metrics)}
        for name, cells in columns.items():
            add_numbers(shown, name.replace("_", " "), cells)
        for row, *numbers in zip(evaluation.iter_rows(named=True), *columns.values(), strict=True):
            shown.add_row(Text(row["dataset"] or ""), Text(row["estimator"] or ""), *numbers)
        if hidden := others[len(metrics) :]:
            shown.caption = f"with --output also: {', '.join(hidden)}"
        return shown

    return fitting(build, others, width)
