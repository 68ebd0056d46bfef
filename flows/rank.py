"""The flow that ranks candidate networks."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.states import Completed, State
from prefect.task_runners import ThreadPoolTaskRunner

from emms.run.checks import check
from emms.run.references import Outcome
from emms.run.stage import Workspace
from emms.run.walk import rank_candidates
from emms.spec import Spec
from emms.store import Store
from tasks.executor import PrefectExecutor
from tasks.results import write_results

# One task at a time, since each uses all cores or the GPU. Other task runners can run tasks on several machines.
ONE_AT_A_TIME: Any = ThreadPoolTaskRunner(max_workers=1)


@flow(name="emms-rank", flow_run_name="rank {spec.dataset.name}", task_runner=ONE_AT_A_TIME, result_serializer="json")
def rank(spec: Spec) -> State[Outcome]:
    """Rank the candidate networks of a spec on its dataset.

    If a candidate fails, the others are ranked, and the run ends in the state CompletedWithFailures.
    If all fail, or the dataset, the labels or the store cannot be used, the run fails.
    """
    check(spec)
    outcome = rank_candidates(spec, PrefectExecutor(Workspace(spec, Store(spec.store))))
    ranking = write_results.submit(spec, outcome).result()
    if not ranking.failed:
        return Completed(message=f"{len(ranking)} candidates ranked", data=outcome)
    return Completed(
        name="CompletedWithFailures",
        message=f"{len(ranking)} candidates ranked, {len(ranking.failed)} failed: {'; '.join(ranking.failed.values())}",
        data=outcome,
    )
