"""What all tasks share: when to retry, and how results are kept."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from emms.errors import DamagedError, EMMSError, StoreError, UnavailableError, UnreachableError


def should_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry transient failures, not user errors."""
    if isinstance(state.data, UnreachableError | DamagedError):
        return False  # asking again ends the same; what is damaged has to be computed again first
    return isinstance(state.data, UnavailableError | StoreError) or not isinstance(state.data, EMMSError)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": should_retry,
}

# The store is the cache. References are a few lines of JSON; what they refer to is in the store.
RESULTS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": True, "result_serializer": "json"}
