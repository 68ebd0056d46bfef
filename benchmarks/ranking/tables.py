"""Tables: how well each estimator agrees with the truth, and where it places the candidates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from rich.table import Table

from emms.evaluation import weighted_kendall_tau

RESAMPLES = 1_000


def agreement(scored: Mapping[str, pl.DataFrame]) -> Table:
    """Return a row per estimator: weighted Kendall tau on each dataset, and their mean; the best first.

    scored: by dataset, the columns model, features, estimator, score, seconds, value (the truth).
    """
    rows = []
    for estimator in pl.concat(scored.values())["estimator"].unique(maintain_order=True):
        own = {name: table.filter(estimator=estimator) for name, table in scored.items()}
        taus = [_tau(table["score"].to_numpy(), table["value"].to_numpy()) for table in own.values()]
        seconds = pl.concat(own.values())["seconds"].median()
        rows.append((float(np.mean(taus)), estimator, taus, _deviation(own), min(map(len, own.values())), seconds))
    table = Table(header_style="bold", box=None, padding=(0, 1))
    table.add_column("estimator", no_wrap=True)
    for heading in (*scored, *(["mean"] if len(scored) > 1 else []), "deviation", "candidates", "seconds per model"):
        table.add_column(heading, justify="right")
    # Estimators that can score only some candidates, such as those that need a classifier, come last.
    rows.sort(key=lambda row: (-row[4], -np.nan_to_num(row[0], nan=-2)))
    for mean, estimator, taus, deviation, count, seconds in rows:
        cells = [_cell(number) for number in (*taus, *([mean] if len(scored) > 1 else []), deviation)]
        table.add_row(estimator, *cells, str(count), "-" if seconds is None else f"{seconds:.3f}")
    return table


def _deviation(own: Mapping[str, pl.DataFrame]) -> float:
    """Return the standard deviation of the mean tau over resampled candidates, the same on all datasets."""
    pairs = [table.sort("model").select("score", "value").to_numpy() for table in own.values()]
    if len({len(pair) for pair in pairs}) > 1 or len(pairs[0]) < 3:
        return float("nan")
    drawn = np.random.default_rng(0).integers(len(pairs[0]), size=(RESAMPLES, len(pairs[0])))
    return float(np.nanstd([np.mean([_tau(*pair[rows].T) for pair in pairs]) for rows in drawn]))


def _tau(score: np.ndarray, value: np.ndarray) -> float:
    return weighted_kendall_tau(score, value)


def places(scored: pl.DataFrame, title: str) -> Table:
    """Return the candidates of a dataset, best first, with the place that each estimator gives them."""
    place = pl.col("score").rank("min", descending=True).over("estimator").cast(pl.Int64)
    wide = scored.with_columns(place=place).pivot("estimator", index=["model", "features", "value"], values="place")
    table = Table(title=title, header_style="bold", box=None, padding=(0, 1))
    for heading in wide.columns:
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=heading == "model")
    for model, features, value, *where in wide.sort("value", descending=True).iter_rows():
        table.add_row(model, str(features), f"{value:.4f}", *("-" if w is None else str(w) for w in where))
    return table


def _cell(number: float) -> str:
    return f"{number:.2f}" if np.isfinite(number) else "-"
