"""Settings of all tasks: when to retry, and how to store results."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from emms.errors import DamagedError, EMMSError, StoreError, UnavailableError, UnreachableError


def should_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry transient failures, not user errors."""
    if isinstance(state.data, UnreachableError | DamagedError):
        return False  # a retry would fail again; damaged artifacts must be computed again first
    return isinstance(state.data, UnavailableError | StoreError) or not isinstance(state.data, EMMSError)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": should_retry,
}

# The store is the cache. Results are references, a few lines of JSON, to artifacts in the store.
RESULTS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": True, "result_serializer": "json"}
