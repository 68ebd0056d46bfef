"""The candidate networks: their weights at hand, their features in the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from emms.datasets.prepare import Prepared
from emms.models import features
from emms.run import stages
from emms.run.references import Extracted, Resolved
from emms.spec import ModelSpec, Spec
from tasks.policies import RESULTS, RETRIES, cached_in_store


@task(
    task_run_name="resolve {model.id}",
    tags=["emms-download"],
    timeout_seconds=2 * 3600,
    cache_policy=NO_CACHE,
    **RETRIES,
    **RESULTS,
)
def resolve_model(spec: Spec, model: ModelSpec, dataset: Prepared) -> Resolved:
    """Have a candidate's weights at hand, downloaded if need be."""
    return stages.resolve_model(spec, model, dataset)


def _shards(parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for model in parameters["models"]:
        for shard in range(features.shards(model.key, parameters["dataset"].count)):
            yield model.model.id, "features", features.shard_key(model.key, shard)


def _pass_name() -> str:
    return "extract " + ", ".join(model.model.id for model in task_run.parameters["models"])


@task(
    task_run_name=_pass_name,
    tags=["emms-extract"],
    timeout_seconds=7 * 24 * 3600,
    cache_policy=cached_in_store(_shards),
    **RETRIES,
    **RESULTS,
)
def extract_features(spec: Spec, models: list[Resolved], dataset: Prepared) -> list[Extracted]:
    """Take the samples once through the networks of one pass. A retry goes on where the last try stopped."""
    return stages.extract_features(spec, models, dataset)
