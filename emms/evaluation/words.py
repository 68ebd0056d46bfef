"""Describe an evaluation as text: which candidates its metrics include, and which metrics are undefined."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from emms.evaluation.metrics import CUTOFFS
from emms.evaluation.names import listed, nearest, split_names


def coverage(row: Mapping[str, Any]) -> str:
    """Return how many candidates the metrics of a row include, and the names of those that are left out.

    row: of the table that `evaluate` returns. For example "over all 4 candidates", or "over 3 of 4 candidates; not
    matched: 'test_vit' (did you mean 'timm:test_vit'?)", where the first name is in the truth and the second one is a
    candidate's. At most a few names are listed.
    """
    return _coverage(*(row[column] for column in ("n_models", "not_in_truth", "not_in_scores", "without_score")))


def undefined(row: Mapping[str, Any]) -> str:
    """Return which metrics of a row of an evaluation are undefined, and why; an empty string if all are defined."""
    count, reasons = row["n_models"], []
    if count <= 1:
        models = "one model" if count else "no model"
        return f"every metric is undefined with {models} in common; a comparison needs two or more, a correlation three"
    if count == 2:
        reasons.append("correlations are undefined with two models in common, for which they are always 1 or -1")
    elif row["kendall_tau"] is None:
        reasons.append("correlations are undefined if all scores, or all values of the truth, are equal")
    if row["rel@1"] is None:
        reasons.append("rel@k is undefined if the best value of the truth is not positive")
    if always := [f"rel@{k}, recall@{k}" for k in CUTOFFS if k >= count]:
        reasons.append(f"{', '.join(always)} are undefined with {count} models, where they are always 1")
    return "; ".join(reasons)


def remarks(evaluation: pl.DataFrame) -> list[str]:
    """Return the texts of `coverage` and `undefined` for the rows of an evaluation, without repeats.

    A text that does not apply to all rows starts with the datasets and estimators to which it applies.
    """
    about: dict[str, list[str]] = {}
    for row in evaluation.iter_rows(named=True):
        where = " by ".join(name for name in (row["dataset"], row["estimator"]) if name is not None)
        for text in filter(None, (coverage(row), undefined(row))):
            about.setdefault(text, []).append(where)
    return [
        text if len(rows) == evaluation.height else f"{listed(sorted(rows))}: {text}" for text, rows in about.items()
    ]


@lru_cache(256)  # rows of different estimators have the same values
def _coverage(count: int, not_in_truth: str | None, not_in_scores: str | None, without_score: str | None) -> str:
    missing, extra, empty = map(split_names, (not_in_truth, not_in_scores, without_score))
    total = count + len(missing) + len(empty)
    pairs = nearest(extra, missing)
    candidates = f"{total} candidates" if total > 1 else "1 candidate"
    if count < total:
        parts = [f"over {count or 'none'} of {candidates}"]
    else:
        parts = [f"over all {candidates}" if total > 1 else "over the only candidate"]
    names = {
        "not matched": [f"{name!r} (did you mean {candidate!r}?)" for name, candidate in pairs.items()],
        "not in the truth": [repr(name) for name in missing if name not in pairs.values()],
        "only in the truth": [repr(name) for name in extra if name not in pairs],
        "without a score": [repr(name) for name in empty],
    }
    return "; ".join([*parts, *(f"{why}: {listed(some)}" for why, some in names.items() if some)])
