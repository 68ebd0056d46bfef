"""Measure how well rankings agree with the truth, for each dataset and estimator of a table.

>>> scores = pl.DataFrame({"model": ["a", "b", "c"], "score": [0.9, 0.7, 0.2]})
>>> truth = pl.DataFrame({"model": ["a", "b", "c"], "value": [91.0, 88.5, 89.0]})
>>> evaluate(scores, truth)["weighted_kendall_tau"].round(3).to_list()
[0.545]
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

import polars as pl

from emms.errors import EMMSError
from emms.evaluation.metrics import (
    METRICS,
    kendall_tau,
    pearson,
    recall_at_k,
    rel_at_k,
    spearman,
    weighted_kendall_tau,
    weighted_pearson,
)
from emms.evaluation.names import join_names, listed, named_as
from emms.evaluation.tables import read_table, scores_table, truth_table
from emms.evaluation.words import coverage, remarks, undefined

__all__ = [
    "METRICS",
    "SCHEMA",
    "coverage",
    "evaluate",
    "evaluate_csv",
    "kendall_tau",
    "named_as",
    "pearson",
    "recall_at_k",
    "rel_at_k",
    "remarks",
    "spearman",
    "undefined",
    "weighted_kendall_tau",
    "weighted_pearson",
]

SCHEMA = pl.Schema(
    {
        "dataset": pl.String,
        "estimator": pl.String,
        "n_models": pl.Int64,
        **dict.fromkeys(METRICS, pl.Float64),
        "n_left_out": pl.Int64,
        "not_in_truth": pl.String,
        "not_in_scores": pl.String,
        "without_score": pl.String,
    }
)
"""Columns of an evaluation. The last three name the models that are left out, separated by `; `: those missing from the
truth, those missing from the scores, and those whose score is empty or nan; null if there are none. `coverage` returns
them as text."""


def evaluate(scores: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Measure how well scores agree with the truth, for each dataset and estimator.

    `scores` has columns `model` and `score`, and may have `dataset` and `estimator`; `truth` has `model` and `value`
    (or `finetuned_accuracy`, or `accuracy`), and may have `dataset`; other columns are ignored. Larger is better in
    both. If only one of the two has a column `dataset`, it must have a single dataset.

    Returns a table of `SCHEMA`, one row per dataset and estimator of the scores, sorted by them; either is null if the
    tables do not have the column. Metrics are over the `n_models` models that both tables have, and null if they are
    undefined (see `emms.evaluation.metrics`): all of them with a single model, the correlations with two, rel@k and
    recall@k with k or fewer. Raises EMMSError if a table is not as described, has infinite numbers, or if the two
    have no model in common.
    """
    return _compare(scores_table(scores), truth_table(truth))


def evaluate_csv(scores_path: str | PathLike[str], truth_path: str | PathLike[str]) -> pl.DataFrame:
    """Evaluate the scores and the truth in two files, each CSV or Parquet; see `evaluate`. Both may be the same file.

    Raises EMMSError as `evaluate` does, and if a file cannot be read.
    """
    return _compare(
        scores_table(read_table(scores_path), f"the scores in '{scores_path}'"),
        truth_table(read_table(truth_path), f"the truth in '{truth_path}'"),
    )


def _compare(scores: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    scores, truth = _same_datasets(scores, truth)
    if "estimator" not in scores.columns:
        scores = scores.with_columns(estimator=pl.lit(None, pl.String))
    if scores.join(truth, on=["dataset", "model"], how="semi", nulls_equal=True).is_empty():
        raise EMMSError(
            f"the scores and the truth have no model in common: the scores have {_some(scores['model'])}, "
            f"the truth has {_some(truth['model'])}; write the names in the same way in both"
        )
    rows = []
    for (dataset, estimator), scored in scores.group_by("dataset", "estimator"):
        known = truth.filter(pl.col("dataset").eq_missing(pl.lit(dataset, pl.String)))
        # Sorted, so that rounding does not depend on the order of the models.
        common = scored.join(known, on="model").drop_nulls("score").sort("model")
        left_out = {
            "not_in_truth": scored.join(known, on="model", how="anti"),
            "not_in_scores": known.join(scored, on="model", how="anti"),
            "without_score": scored.filter(pl.col("score").is_null()).join(known, on="model", how="semi"),
        }
        rows.append(
            {
                "dataset": dataset,
                "estimator": estimator,
                "n_models": common.height,
                **{name: metric(common["score"], common["value"]) for name, metric in METRICS.items()},
                "n_left_out": sum(models.height for models in left_out.values()),
                **{why: join_names(models["model"].sort()) for why, models in left_out.items()},
            }
        )
    return pl.DataFrame(rows, SCHEMA).fill_nan(None).sort("dataset", "estimator")


def _same_datasets(scores: pl.DataFrame, truth: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both tables with a column `dataset`; they have at least one dataset in common."""
    named = {
        side: table["dataset"].unique().sort().to_list()
        for side, table in (("scores", scores), ("truth", truth))
        if "dataset" in table.columns
    }
    if len(named) == 2:
        if not set(named["scores"]) & set(named["truth"]):
            raise EMMSError(
                f"the scores and the truth have no dataset in common: the scores have {_some(named['scores'])}, "
                f"the truth has {_some(named['truth'])}; write the names in the same way in both"
            )
        return scores, truth
    for side, datasets in named.items():
        if len(datasets) > 1:
            other = "truth" if side == "scores" else "scores"
            raise EMMSError(
                f"{len(datasets)} datasets are named in the {side} ({_some(datasets)}) and none in the {other}; "
                f"add a column 'dataset' to the {other}, or keep only the rows of one dataset"
            )
    dataset = pl.lit(next((datasets[0] for datasets in named.values()), None), pl.String).alias("dataset")
    return scores.with_columns(dataset), truth.with_columns(dataset)


def _some(names: Iterable[str]) -> str:
    """Return the first few of the names, quoted and sorted, and the number of the others."""
    return listed([repr(name) for name in sorted(set(names))])
