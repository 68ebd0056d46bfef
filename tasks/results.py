"""Write the results, and show them in Prefect's UI."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from emms.results.ranking import Ranking
from emms.run.finish import finish
from emms.run.references import Outcome
from emms.spec import Spec
from tasks.policies import RETRIES


@task(task_run_name="rank {spec.dataset.name}", timeout_seconds=3600, persist_result=False, **RETRIES)
def write_results(spec: Spec, outcome: Outcome) -> Ranking:
    """Order the candidates, evaluate the order if there is a truth table, and write both to the output folder."""
    ranking = finish(spec, outcome)
    create_table_artifact(
        ranking.frame.to_dicts(), key="emms-ranking", description=f"Candidates for {spec.dataset.name}"
    )
    if ranking.evaluation is not None:
        rows = ranking.evaluation.to_dicts()
        create_table_artifact(rows, key="emms-evaluation", description="Agreement with the truth")
    notes = [*(f"not ranked: {reason}" for reason in ranking.failed.values()), *ranking.warnings]
    if notes:
        create_markdown_artifact("\n".join(f"- {note}" for note in notes), key="emms-notes")
    return ranking
