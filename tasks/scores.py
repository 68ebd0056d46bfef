"""From features to scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect import task

from emms import stages
from emms.datasets.prepare import Prepared
from emms.spec import EstimatorSpec, Spec
from tasks.policies import RESULTS, RETRIES, cached_in_store


def _moments(parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    features, dataset, labels = (parameters[name] for name in ("features", "dataset", "labels"))
    yield features.model.id, "moments", stages.moments_key(features.key, dataset, labels)


def _score(parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    moments, estimator, labels = (parameters[name] for name in ("moments", "estimator", "labels"))
    yield f"{moments.model.id} {estimator.id}", "scores", stages.score_key(moments, estimator, labels)


@task(
    task_run_name="sum up {features.model.id}",
    timeout_seconds=6 * 3600,
    cache_policy=cached_in_store(_moments),
    **RETRIES,
    **RESULTS,
)
def accumulate_moments(
    spec: Spec, features: stages.Extracted, dataset: Prepared, labels: list[stages.Embedded]
) -> stages.Accumulated:
    """Sum up a candidate's features, in one pass over them."""
    return stages.accumulate_moments(spec, features, dataset, labels)


@task(
    task_run_name="score {moments.model.id} by {estimator.id}",
    timeout_seconds=6 * 3600,
    cache_policy=cached_in_store(_score),
    **RETRIES,
    **RESULTS,
)
def score(
    spec: Spec,
    dataset: Prepared,
    moments: stages.Accumulated,
    estimator: EstimatorSpec,
    labels: list[stages.Embedded],
) -> stages.Scored:
    """Score a candidate by one estimator."""
    return stages.score(spec, dataset, moments, estimator, labels)
