"""Run stages as Prefect tasks, with retries, a time limit, a tag and a readable name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from prefect import task
from prefect.runtime import task_run
from prefect.states import Completed, State
from prefect.tasks import Task

from emms.run.executor import Call, Errors, Executor, reason_of
from emms.run.stage import Failed, R, Stage, Workspace
from tasks.policies import RESULTS, RETRIES


class PrefectExecutor(Executor):
    """Carries out each call of a stage as a task of the current flow, on the flow's task runner."""

    def _run(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors) -> list[R | Failed]:
        futures = [as_task(stage).submit(self.workspace, call) for call in calls]
        results: list[R | Failed] = []
        for future in futures:
            result = future.result(raise_on_failure=False)
            if isinstance(result, BaseException):
                if isinstance(result, fatal) or not isinstance(result, Exception):
                    raise result
                result = Failed(reason_of(result), result)
            results.append(result)
        return results


@cache
def as_task(stage: Stage[Any]) -> Task[..., Any]:
    """Return the task for one call of a stage. It ends in a state named Cached if everything was in the store."""

    def carry_out(workspace: Workspace, call: Call) -> Any:
        reference = stage.make(workspace, *call)
        return reference if reference.computed else _cached(reference)

    carry_out.__qualname__ = stage.name.replace(" ", "_")  # Prefect makes the task's key from it
    stage_task: Task[..., Any] = task(
        name=stage.name,
        description=stage.description,
        task_run_name=lambda: stage.title(task_run.parameters["workspace"], *task_run.parameters["call"]),
        tags=[stage.tag] if stage.tag else [],
        timeout_seconds=stage.hours * 3600,
        **RETRIES,
        **RESULTS,
    )(carry_out)
    return stage_task


def _cached(reference: Any) -> State[Any]:
    return Completed(name="Cached", message="it was in the store", data=reference)
