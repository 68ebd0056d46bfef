"""Evaluate the ranking of a run with the truth table of its spec."""

from __future__ import annotations

from typing import Any

import polars as pl

from emms.evaluation import coverage, evaluate, named_as, undefined
from emms.evaluation.tables import read_table
from emms.spec import Spec


def read_truth(spec: Spec) -> pl.DataFrame:
    """Return the truth table of a spec, with models renamed to the ids of the candidates. Raises EMMSError."""
    names = {model.id: model.other_names for model in spec.models}
    return named_as(read_table(str(spec.truth)), names, f"the truth in '{spec.truth}'")


def agreement(spec: Spec, scores: pl.DataFrame) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Return the evaluation of all scores, and lines of text about the first estimator: results, and warnings.

    scores: one row per candidate and estimator, null if there is no score. Raises EMMSError.
    """
    evaluation = evaluate(scores, read_truth(spec))
    shown, warnings = [], []
    for row in evaluation.filter(estimator=spec.estimators[0].id).iter_rows(named=True):
        shown.append(f"weighted Kendall tau with the truth: {_tau(row)}, {coverage(row)}")
        if row["not_in_truth"] or row["without_score"]:
            warnings.append(f"the agreement with truth '{spec.truth}' is {coverage(row)}")
    return evaluation, shown, warnings


def _tau(row: dict[str, Any]) -> str:
    tau = row["weighted_kendall_tau"]
    return f"undefined ({undefined(row)})" if tau is None else f"{tau:.3f}"
