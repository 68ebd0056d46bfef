"""The result of a run: the ranked candidates, their costs, and warnings."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from emms.errors import StoreError
from emms.results.ranking_table import ranking_table
from emms.results.uncertainty import uncertainty, without_rounding

SCORES = pl.Schema(
    {
        "dataset": pl.String,
        "model": pl.String,
        "estimator": pl.String,
        "score": pl.Float64,
        "seconds": pl.Float64,
        "samples": pl.Int64,
        "features": pl.Int64,
        "trained": pl.Boolean,
    }
)
"""Columns of the table of all scores: one row per candidate and estimator."""
RANKING = pl.Schema(
    {
        "rank": pl.Int64,
        "model": pl.String,
        "score": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "best_3": pl.Float64,
        "estimator": pl.String,
        "features": pl.Int64,
        "parameters_m": pl.Float64,
        "samples_per_second": pl.Float64,
        "trained": pl.Boolean,
    }
)
"""Columns of the ranking: one row per candidate."""


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    frame: one row per candidate: rank (tied candidates share one), model, score, low and high (its 95 % confidence
    interval) and best_3 (the probability of being among the best three), which are null if the estimator is not
    cross-validated, estimator, features (D1), parameters in millions, samples per second (of the forward pass, the
    median over batches when the features were computed), trained or not.
    scores: one row per candidate and estimator, with the columns of SCORES.
    """

    frame: pl.DataFrame
    scores: pl.DataFrame
    failed: dict[str, str] = field(default_factory=dict)
    """Candidates that could not be ranked, with the reason."""
    warnings: list[str] = field(default_factory=list)
    evaluation: pl.DataFrame | None = None
    """Agreement of each estimator's ranking with the truth, if the spec has a truth table."""
    run: dict[str, Any] = field(default_factory=dict)
    """Record of the run: its spec, versions, times, and what was computed or found in the store."""
    agreement: list[str] = field(default_factory=list)
    """Agreement of the ranking with the truth, as text."""
    throughput: str = "samples/s"
    """Heading of the samples per second in the table."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        console = Console(width=120, file=io.StringIO(), color_system=None)
        with console.capture() as capture:
            console.print(self.table())
            for line in self.agreement:
                console.print(line, markup=False, highlight=False)
            for warning in self.warnings:
                console.print(f"warning: {warning}", markup=False, highlight=False)
            for reason in self.failed.values():
                console.print(f"not ranked: {reason}", markup=False, highlight=False)
        return capture.get()

    def table(self, width: int = 120) -> Table:
        """Return the ranking as a table for a terminal of `width` characters; see `emms.results.ranking_table`."""
        return ranking_table(self.frame, self.scores, self.throughput, width)

    def write(self, folder: Path) -> None:
        """Write ranking.csv, scores.parquet, run.json and, if there is an evaluation, evaluation.csv.

        Raises StoreError if the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.frame.write_csv(folder / "ranking.csv")
            self.scores.write_parquet(folder / "scores.parquet")
            if self.evaluation is None:
                # Remove that of an earlier run.
                (folder / "evaluation.csv").unlink(missing_ok=True)
            else:
                self.evaluation.write_csv(folder / "evaluation.csv")
            (folder / "run.json").write_text(json.dumps(self.run, indent=2) + "\n", encoding="utf-8")
        except OSError as cause:
            raise StoreError(f"output '{folder}' cannot be written: {cause}; name another folder") from cause


def ordered(candidates: pl.DataFrame, folds: np.ndarray | None, seed: int, samples: int | None = None) -> pl.DataFrame:
    """Return candidates, best first, with the columns of RANKING.

    candidates: one row per candidate, with all columns of RANKING except those computed here. folds: (F, M), the scores
    of each fold, in the order of the M candidates; None if the estimator is not cross-validated. samples: the number of
    samples of which scores are proportions; None if they are not proportions.
    """
    # Scores that differ by rounding are equal, so that the order does not depend on the processor.
    candidates = candidates.with_columns(level=without_rounding(candidates["score"].to_numpy()))
    if folds is not None:
        computed = uncertainty(candidates["score"].to_numpy(), folds, seed, samples=samples)
        frame = candidates.with_columns(rank=computed.rank, low=computed.low, high=computed.high, best_3=computed.best)
    else:
        missing = pl.lit(None, pl.Float64)
        frame = candidates.with_columns(
            pl.col("level").rank("min", descending=True).cast(pl.Int64).alias("rank"),
            *(missing.alias(name) for name in ("low", "high", "best_3")),
        )
    return frame.sort("rank", "level", "model", descending=[False, True, False]).select(RANKING.names()).cast(RANKING)
