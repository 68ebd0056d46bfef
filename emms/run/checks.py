"""Check a spec before any network runs, and report all faults at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from emms.downstream import downstream
from emms.errors import EMMSError, EstimatorError, ModelError, SpecError, StoreError, did_you_mean
from emms.estimators import make_estimator
from emms.evaluation import evaluate
from emms.hardware import choose_device
from emms.labels import ENCODERS
from emms.models import candidate
from emms.run.agreement import read_truth
from emms.spec import EstimatorSpec, ModelSpec, Spec
from emms.store import Store
from emms.store.folders import removed_after


def check(spec: Spec) -> None:
    """Check everything that a spec names: device, store, output, truth, label encoders, estimators and models.

    Raises SpecError with all faults.
    """
    faults = _faults(
        [
            lambda: spec.device == "auto" or choose_device(spec.device),
            lambda: Store(spec.store).check_writable(),
            lambda: _check_output(spec.output),
            lambda: _check_truth(spec),
            *(_later(lambda e: ENCODERS.get(e.source)(e.name, e.pooling), encoder) for encoder in spec.label_encoders),
            *(_later(_check_estimator, estimator) for estimator in spec.estimators),
            lambda: _check_order(spec),
            *(_later(_check_model, (model, spec)) for model in spec.models),
        ]
    )
    if faults := list(dict.fromkeys(faults)):
        raise SpecError(
            faults[0] if len(faults) == 1 else "\n".join([f"{len(faults)} faults:", *(f"  {f}" for f in faults)])
        )


def _check_model(model_and_spec: tuple[ModelSpec, Spec]) -> None:
    model, spec = model_and_spec
    inputs = downstream(spec.task).inputs()
    for part in model.parts:
        network = candidate(part, Store(spec.store), inputs)
        if not network.reads - {"id"} <= inputs:
            raise ModelError(
                f"model '{part.id}' reads {', '.join(sorted(network.reads))}, but samples of task '{spec.task}' have "
                f"{', '.join(sorted(inputs))}; choose a network that fits the task"
            )
        network.check()


def _check_estimator(estimator: EstimatorSpec) -> None:
    make_estimator(estimator.name, **estimator.settings)


def _check_order(spec: Spec) -> None:
    """Raise EstimatorError if the estimator that orders the ranking needs classes, which the task does not have."""
    first = make_estimator(spec.estimators[0].name, **spec.estimators[0].settings)
    if first.needs != "label embeddings" and not downstream(spec.task, spec.labels).classes:
        raise EstimatorError(
            f"estimator '{first.name}', which is to order the ranking, needs classes, but in task '{spec.task}' each "
            f"sample has its own label; put emms-decoded, emms-cv, emms, logme-f-label or knn-labels first"
        )


def _check_output(folder: Path) -> None:
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        with removed_after(folder):
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
    except OSError as cause:
        raise StoreError(
            f"output '{folder}' cannot be written: {cause.strerror}; name another with `output:` or --output"
        ) from cause


def _check_truth(spec: Spec) -> None:
    if spec.truth is None:
        return
    ids = [model.id for model in spec.models]
    truth = read_truth(spec)
    known = truth["model"].to_list()
    if not set(known) & set(ids):
        near = next(filter(None, (did_you_mean(name, ids) for name in known)), "")
        raise SpecError(
            f"truth '{spec.truth}' has none of the ranked models (it has '{known[0]}', the spec '{ids[0]}'){near}; its "
            f"column `model` must have names as printed by `emms rank --dry-run`, or each model's `alias:`"
        )
    scores = {"dataset": spec.dataset.name, "model": ids, "estimator": "any", "score": [0.0] * len(ids)}
    evaluate(pl.DataFrame(scores), truth)


def _later(check: Callable[[Any], object], argument: Any) -> Callable[[], object]:
    return lambda: check(argument)


def _faults(checks: list[Callable[[], object]]) -> list[str]:
    faults = []
    for one in checks:
        try:
            one()
        except EMMSError as fault:
            faults.append(str(fault))
    return faults
