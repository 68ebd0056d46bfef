"""The result of a run: who comes first, what each candidate costs, what to be wary of."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emms.errors import EMMSError, ModelError, StoreError
from emms.evaluation import evaluate
from emms.evaluation.tables import read_table
from emms.results.record import describe_run
from emms.results.tables import add_whole, fitting
from emms.results.uncertainty import BEST, uncertainty
from emms.run.references import Extracted, Outcome, Scored
from emms.run.scoring import scorer_of
from emms.spec import Spec

SAMPLES_PER_FEATURE = 5
"""Below this ratio N / D1 a run warns: random features would explain more than a fifth of random labels."""

FACTS = ("features", "M params", "img/s")
"""Columns of the table that say what a candidate costs."""

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
SURE = ("rank", "low", "high", "best_3")
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
        "images_per_second": pl.Float64,
        "trained": pl.Boolean,
    }
)


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    frame: one row a candidate: rank (ties share one), model, score, low and high (its 95 % confidence interval) and
    best_3 (the probability of being among the best three), which are null where the estimator does not cross-validate,
    estimator, features (D1), parameters in millions, images per second, trained or not.
    scores: one row a candidate and estimator, with the columns of SCORES.
    """

    frame: pl.DataFrame
    scores: pl.DataFrame
    failed: dict[str, str] = field(default_factory=dict)
    """Candidates that could not be ranked, with the reason."""
    warnings: list[str] = field(default_factory=list)
    evaluation: pl.DataFrame | None = None
    """How well each estimator's ranking agrees with the truth, where truth was given."""
    run: dict[str, Any] = field(default_factory=dict)
    """What was run, with which versions, how long it took, what was computed and what came from the store."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        console = Console(width=120, file=io.StringIO(), color_system=None)
        with console.capture() as capture:
            console.print(self.table())
            for warning in self.warnings:
                console.print(f"warning: {warning}", markup=False, highlight=False)
            for reason in self.failed.values():
                console.print(f"not ranked: {reason}", markup=False, highlight=False)
        return capture.get()

    def table(self, width: int = 120) -> Table:
        """Return the ranking as a table for a terminal of so many columns.

        Where it is narrow names fold, and columns are left to the files; those that stay are whole.
        """
        # The estimator that orders may lack a score of the first candidate.
        first, *others = pl.concat([self.frame["estimator"], self.scores["estimator"]]).unique(maintain_order=True)
        sure = self.frame["low"].null_count() < len(self.frame)
        scores = {(row["model"], row["estimator"]): row["score"] for row in self.scores.iter_rows(named=True)}
        tied = set(self.frame["rank"].filter(self.frame["rank"].is_duplicated()))

        def cell(row: dict[str, Any], column: str, optional: Sequence[str]) -> str:
            match column:
                case "best 3":
                    return f"{row['best_3']:.0%}"
                case "features":
                    return f"{row['features']:,}"
                case "M params":
                    return f"{row['parameters_m']:.1f}"
                case "img/s":
                    return f"{row['images_per_second']:.0f}"
            half = f" ± {(row['high'] - row['low']) / 2:.4f}" if column == first and "±" in optional else ""
            return _number(scores.get((row["model"], column))) + half

        def build(optional: Sequence[str]) -> Table:
            possible = [*others, *chances, *FACTS]
            shown = [first, *(name for name in possible if name in optional)]
            hidden = {
                "scores.parquet": [name for name in others if name not in optional],
                "ranking.csv": [name for name in (*chances, *FACTS) if name not in optional],
            }
            caption = "\n".join(f"{file} has also: {', '.join(names)}" for file, names in hidden.items() if names)
            table = Table(
                box=SIMPLE_HEAD,
                header_style="bold",
                padding=(0, 1, 0, 0),
                caption=caption or None,
                caption_justify="left",
            )
            rows = list(self.frame.iter_rows(named=True))
            places = [f"{row['rank']}{'=' if row['rank'] in tied else ' '}" for row in rows]
            add_whole(table, "rank", places)
            table.add_column("model", overflow="fold", min_width=16 if optional else 8)
            cells = [[cell(row, name, optional) for row in rows] for name in shown]
            for name, column in zip(shown, cells, strict=True):
                add_whole(table, name, column)
            for row, place, *numbers in zip(rows, places, *cells, strict=True):
                table.add_row(place, Text(row["model"]), *numbers, style=None if row["trained"] else "dim")
            return table

        # Among three candidates or fewer, all are among the best three.
        chances = ["best 3"] if sure and len(self.frame) > BEST else []
        return fitting(build, [*(["±"] if sure else []), *chances, *FACTS, *others], width)

    def write(self, folder: Path) -> None:
        """Write ranking.csv, scores.parquet, run.json and, where truth was given, evaluation.csv.

        Raises StoreError if the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.frame.write_csv(folder / "ranking.csv")
            self.scores.write_parquet(folder / "scores.parquet")
            if self.evaluation is None:
                # That of an earlier run would seem to be of this one.
                (folder / "evaluation.csv").unlink(missing_ok=True)
            else:
                self.evaluation.write_csv(folder / "evaluation.csv")
            (folder / "run.json").write_text(json.dumps(self.run, indent=2) + "\n", encoding="utf-8")
        except OSError as cause:
            raise StoreError(f"output '{folder}' cannot be written: {cause}; name another folder") from cause


def build_ranking(spec: Spec, outcome: Outcome) -> Ranking:
    """Order the candidates by the first estimator of the spec, and evaluate the order where the spec gives the truth.

    Raises ModelError when no candidate has a score.
    """
    dataset, scored = outcome.dataset, outcome.scored
    extracted = [e for e in outcome.extracted if e.model in spec.models]  # not what an estimator alone asked for
    candidates = {model.id for model in spec.models}
    failed = {name: reason for name, reason in outcome.failed.items() if name in candidates}
    failed |= {e.model.id: e.failure for e in extracted if e.failure}
    first = spec.estimators[0].id
    for result in scored:
        if result.failure and result.estimator.id == first:
            failed.setdefault(result.model.id, f"model '{result.model.id}' has no score: {result.failure}")
    facts = {e.model.id: e for e in extracted if not e.failure}
    scores = pl.DataFrame(
        [
            {
                "dataset": spec.dataset.name,
                "model": s.model.id,
                "estimator": s.estimator.id,
                "score": s.score,
                "seconds": s.seconds,
                "samples": dataset.count,
                "features": facts[s.model.id].dimension,
                "trained": s.model.pretrained,
            }
            for s in scored
            if s.score is not None
        ],
        schema=SCORES,
    )
    first_scored = [s for s in scored if s.estimator.id == first and s.score is not None]
    if not first_scored:
        raise ModelError("\n".join(["no candidate could be ranked:", *(f"  {reason}" for reason in failed.values())]))
    frame = _frame(first_scored, facts, spec.seed)
    notes, evaluation = _notes(spec, outcome, frame), None
    if spec.truth:
        try:
            evaluation = evaluate(scores, read_table(spec.truth))
        except EMMSError as cause:  # the models that it knows may be those that failed
            notes.append(f"the ranking could not be compared with truth '{spec.truth}': {cause}")
    run = {**describe_run(spec, outcome), "warnings": notes, "failed": failed}
    return Ranking(frame, scores, failed, notes, evaluation, run)


def _notes(spec: Spec, outcome: Outcome, frame: pl.DataFrame) -> list[str]:
    """Return what to be wary of."""
    dataset, first = outcome.dataset, spec.estimators[0]
    wide_ones = [e.id for e in spec.estimators if scorer_of(spec, e).rewards_width]
    notes = unreliable(frame, dataset.count, wide_ones, [e.id for e in spec.estimators]) if wide_ones else []
    if dataset.count == dataset.classes:
        notes.append(f"each of the {dataset.count} samples has a class of its own, so scores say nothing of classes")
    if dataset.skipped:
        notes.append(f"{len(dataset.skipped)} samples could not be read and were left out")
    lacking: dict[str, list[Scored]] = {}
    for s in outcome.scored:
        if s.failure and s.estimator.id != first.id:
            lacking.setdefault(s.failure, []).append(s)
    for reason, missing in lacking.items():
        estimators, models = dict.fromkeys(s.estimator.id for s in missing), dict.fromkeys(s.model.id for s in missing)
        notes.append(f"no score by {', '.join(estimators)} for {', '.join(models)}: {reason}")
    return notes


def _frame(scored: list[Scored], facts: dict[str, Extracted], seed: int) -> pl.DataFrame:
    """Return the candidates, best first, with the columns of RANKING; `scored` is by one estimator."""
    rows = [
        {
            "model": s.model.id,
            "score": s.score,
            "estimator": s.estimator.id,
            "features": facts[s.model.id].dimension,
            "parameters_m": round(facts[s.model.id].parameters / 1e6, 3),
            "images_per_second": round(facts[s.model.id].images_per_second, 1),
            "trained": s.model.pretrained,
        }
        for s in scored
    ]
    frame = pl.DataFrame(rows, schema={name: kind for name, kind in RANKING.items() if name not in SURE})
    if all(s.folds for s in scored):
        sure = uncertainty(frame["score"].to_numpy(), np.array([s.folds for s in scored]).T, seed)
        frame = frame.with_columns(rank=sure.rank, low=sure.low, high=sure.high, best_3=sure.best)
    else:
        missing = pl.lit(None, pl.Float64)
        frame = frame.with_columns(
            pl.col("score").rank("min", descending=True).cast(pl.Int64).alias("rank"),
            *(missing.alias(name) for name in ("low", "high", "best_3")),
        )
    return frame.sort("rank", "score", "model", descending=[False, True, False]).select(RANKING.names())


def _number(score: float | None) -> str:
    """Return a score as the table shows it; one that rounds to zero has no sign."""
    return "-" if score is None else f"{score:z.4f}"


def unreliable(frame: pl.DataFrame, samples: int, concerned: list[str], estimators: list[str]) -> list[str]:
    """Return a warning that names the candidates with too few samples for their width, or nothing.

    concerned: those of the estimators whose scores reward width.
    """
    wide = frame.filter(pl.col("features") * SAMPLES_PER_FEATURE > samples)
    if wide.is_empty():
        return []
    widest = int(wide["features"].max())  # type: ignore[arg-type]
    chance = f"{min(1.0, widest / samples):.0%}"
    names = ", ".join(
        f"{row['model']} ({row['features']:,})" for row in wide.sort("features", "model").iter_rows(named=True)
    )
    return [
        f"{samples:,} samples are few for features this wide, and scores by {', '.join(concerned)} reward width: "
        f"{widest:,} random features would explain {chance} of any labels, so wide networks, trained or not, look "
        f"better than they are. Concerned: {names}. What helps: "
        f"{'to go by' if 'emms-decoded' in estimators else 'the estimator'} emms-decoded, whose score holds out of "
        f"sample, {SAMPLES_PER_FEATURE} samples a feature ({widest * SAMPLES_PER_FEATURE:,}) or more, narrower layers "
        f"(model@layer), and untrained controls to compare with"
    ]
