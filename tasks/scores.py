"""From features to scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect import task

from emms.datasets.prepare import Prepared
from emms.run import scoring as scoring_stages
from emms.run.references import Accumulated, Embedded, Extracted, Scored, Scoring
from emms.run.scoring import are_kept, moments_key, score_key
from emms.spec import Spec
from tasks.policies import RESULTS, RETRIES, cached_in_store


def _moments(parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    spec, features, dataset, labels, folds = (parameters[n] for n in ("spec", "features", "dataset", "labels", "folds"))
    if are_kept(features, dataset, folds):
        yield features.model.id, "moments", moments_key(spec, features, dataset, labels, folds)


def _score(parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    spec, scoring, labels = (parameters[name] for name in ("spec", "scoring", "labels"))
    yield f"{scoring.model.id} {scoring.estimator.id}", "scores", score_key(spec, scoring, labels)


@task(
    task_run_name="sum up {features.model.id}",
    timeout_seconds=6 * 3600,
    cache_policy=cached_in_store(_moments),
    **RETRIES,
    **RESULTS,
)
def accumulate_moments(
    spec: Spec, features: Extracted, dataset: Prepared, labels: list[Embedded], folds: int
) -> Accumulated:
    """Sum up a candidate's features, in one pass over them."""
    return scoring_stages.accumulate_moments(spec, features, dataset, labels, folds)


@task(
    task_run_name="score {scoring.model.id} by {scoring.estimator.id}",
    timeout_seconds=6 * 3600,
    cache_policy=cached_in_store(_score),
    **RETRIES,
    **RESULTS,
)
def score(spec: Spec, dataset: Prepared, scoring: Scoring, labels: list[Embedded]) -> Scored:
    """Score a candidate by one estimator."""
    return scoring_stages.score(spec, dataset, scoring, labels)
