"""What all tasks share: when to try again, when to believe Prefect's cache, how results are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff

from emms.errors import EMMSError, StoreError, UnavailableError, UnreachableError
from emms.store import address, open_store

Keys = Callable[[dict[str, Any]], Iterable[tuple[str, str, dict[str, Any]]]]
"""From a task's parameters to the (name, kind, key) of each artifact it makes; the name is what results call it."""


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Say whether to try again: after what may be better next time, but not after what a user must mend."""
    if isinstance(state.data, UnreachableError):
        return False
    return isinstance(state.data, UnavailableError | StoreError) or not isinstance(state.data, EMMSError)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
}

# References are a few lines of JSON; what they refer to is in the store.
RESULTS: dict[str, Any] = {"persist_result": True, "result_serializer": "json"}


def cached_in_store(keys: Keys) -> CacheKeyFnPolicy:
    """Let Prefect's cache answer only for what the store holds, complete and whole, at this moment.

    With an artifact missing or spoilt there is no cache key, so the task runs and the store decides. A task that is
    recorded under a key therefore always found its artifacts there, and says so when its result comes from the cache.
    """

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
        store = open_store(parameters["spec"].store)
        made = list(keys(parameters))
        if not made or any(store.find(kind, key) is None for _, kind, key in made):
            return None
        return address({"store": store.root, "made": made})

    return CacheKeyFnPolicy(cache_key_fn=key)
