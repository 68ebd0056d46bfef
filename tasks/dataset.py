"""The dataset, listed, selected and verified."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from emms.datasets.prepare import Prepared
from emms.run import stages
from emms.spec import Spec
from tasks.policies import RESULTS, RETRIES


@task(
    task_run_name="prepare {spec.dataset.name}",
    timeout_seconds=6 * 3600,
    cache_policy=NO_CACHE,
    **RETRIES,
    **RESULTS,
)
def prepare_dataset(spec: Spec) -> Prepared:
    """List, select and verify the samples; never cached by Prefect, since only a look tells whether a file changed."""
    return stages.prepare_dataset(spec)
