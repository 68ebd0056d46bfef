"""The flow that ranks candidate networks: the paragraph is the code."""

from __future__ import annotations

from typing import Any, TypeVar

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.states import Completed, State
from prefect.task_runners import ThreadPoolTaskRunner

from emms.errors import EMMSError
from emms.results.ranking import Ranking
from emms.run.checks import check_run
from emms.run.pipeline import Clock
from emms.run.references import Outcome, Scored
from emms.run.scoring import moments_needed, scorings
from emms.run.stages import networks, passes
from emms.spec import Spec
from tasks.dataset import prepare_dataset
from tasks.labels import embed_labels
from tasks.models import extract_features, resolve_model
from tasks.results import write_results
from tasks.scores import accumulate_moments, score

Key = TypeVar("Key")

# One at a time on one machine: each task that computes uses all its cores, or its whole GPU. Other runners fan out.
ONE_AT_A_TIME: Any = ThreadPoolTaskRunner(max_workers=1)


@flow(name="emms-rank", flow_run_name="rank {spec.dataset.name}", task_runner=ONE_AT_A_TIME, result_serializer="json")
def rank(spec: Spec) -> State[Outcome]:
    """Rank the candidate networks of a spec on its dataset.

    A candidate that fails does not take the others along: the run then ends in the state CompletedWithFailures.
    Where none is left, or the dataset, the labels or the store cannot be used, it fails.
    """
    check_run(spec)
    clock = Clock()
    with clock("dataset"):
        dataset = prepare_dataset.submit(spec).result()
    with clock("label embeddings"):
        embedding = [embed_labels.submit(spec, encoder, dataset) for encoder in spec.label_encoders]
        embedded = [future.result() for future in embedding]
    with clock("models"):
        resolving = {model.id: resolve_model.submit(spec, model, dataset) for model in networks(spec)}
        failed = _failures(resolving)
        resolved = [future.result() for model, future in resolving.items() if model not in failed]
    with clock("features"):
        planned = passes(spec, resolved)
        extracting = [extract_features.submit(spec, models, dataset) for models in planned]
        lost = _failures(dict(enumerate(extracting)))
        failed |= {r.model.id: reason for number, reason in lost.items() for r in planned[number]}
        extracted = [e for number, future in enumerate(extracting) if number not in lost for e in future.result()]
    with clock("moments"):
        summing = {
            (e.model.id, folds): accumulate_moments.submit(spec, e, dataset, embedded, folds)
            for e in extracted
            if e.model in spec.models and not e.failure
            for folds in moments_needed(spec)
        }
        lacking = _failures(summing)
        failed |= {model: reason for (model, _), reason in lacking.items()}
        moments = [future.result() for key, future in summing.items() if key not in lacking]
    with clock("scores"):
        wanted = scorings(spec, extracted, moments, failed)
        scoring = [score.submit(spec, dataset, s, embedded) for s in wanted]
        lost = _failures(dict(enumerate(scoring)))
        scored = [future.result() for number, future in enumerate(scoring) if number not in lost]
        scored += [Scored(model=wanted[n].model, estimator=wanted[n].estimator, failure=r) for n, r in lost.items()]
    outcome = Outcome(
        dataset=dataset,
        embedded=embedded,
        extracted=extracted,
        moments=moments,
        scored=scored,
        failed=failed,
        seconds=clock.seconds,
    )
    ranking = write_results.submit(spec, outcome).result()
    return _final_state(ranking, outcome)


def _failures(futures: dict[Key, PrefectFuture[Any]]) -> dict[Key, str]:
    """Wait for futures; return those that failed, with the reason."""
    reasons = {}
    for key, future in futures.items():
        future.wait()
        if not future.state.is_completed():
            cause = future.result(raise_on_failure=False)
            reasons[key] = str(cause) if isinstance(cause, EMMSError) else f"{type(cause).__name__}: {cause}"
    return reasons


def _final_state(ranking: Ranking, outcome: Outcome) -> State[Outcome]:
    if not ranking.failed:
        return Completed(message=f"{len(ranking)} candidates ranked", data=outcome)
    return Completed(
        name="CompletedWithFailures",
        message=f"{len(ranking)} candidates ranked, {len(ranking.failed)} failed: {'; '.join(ranking.failed.values())}",
        data=outcome,
    )
