"""A whole run in plain Python: what a notebook calls, and what the flow does with Prefect around it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from emms.checks import check_models, check_run
from emms.datasets.prepare import Prepared
from emms.errors import EMMSError
from emms.progress import Listener, Silent, listener
from emms.ranking import Ranking, build_ranking
from emms.spec import Spec
from emms.spec_file import load_spec
from emms.stages import (
    Accumulated,
    Embedded,
    Extracted,
    Resolved,
    Scored,
    accumulate_moments,
    embed_label_texts,
    extract_features,
    passes,
    prepare_dataset,
    resolve_model,
    score,
)

VERSIONS = ("emms", "torch", "timm", "transformers", "numpy", "scipy", "scikit-learn", "polars", "pyarrow", "prefect")


class Outcome(BaseModel):
    """What the stages of a run gave: the candidates' features, the labels' embeddings, the scores."""

    model_config = ConfigDict(frozen=True)

    dataset: Prepared
    embedded: list[Embedded]
    extracted: list[Extracted]
    moments: list[Accumulated]
    scored: list[Scored]
    failed: dict[str, str]
    """Candidates that failed before they had features, with the reason."""
    seconds: dict[str, float]
    """Wall time of each stage."""


def rank(spec: Spec | Mapping[str, Any] | str | Path, *, progress: Listener | None = None) -> Ranking:
    """Rank the candidate networks of a spec: a Spec, a mapping, or the path of a YAML file.

    progress: what hears how the work goes on, such as `emms.terminal.Terminal()`.
    A candidate that fails is listed in the ranking's `failed`; the others are ranked.

    Raises SpecError when the spec is wrong, DatasetError when the samples cannot be used, LabelEncoderError when the
    labels cannot be embedded, and ModelError when no candidate could be ranked.

    >>> emms.rank({"dataset": {"format": "digits"}, "models": ["packaged:efficientnet-lite0"]})
    """
    spec = load_spec(spec)
    token = listener.set(progress or Silent())
    try:
        check_run(spec)
        check_models(spec)
        clock = Clock()
        with clock("dataset"):
            dataset = prepare_dataset(spec)
        with clock("label embeddings"):
            embedded = [embed_label_texts(spec, encoder, dataset) for encoder in spec.label_encoders]
        failed: dict[str, str] = {}
        resolved: list[Resolved] = []
        with clock("models"):
            for model in spec.models:
                try:
                    resolved.append(resolve_model(spec, model, dataset))
                except EMMSError as cause:
                    failed[model.id] = str(cause)
        with clock("features"):
            extracted = [e for models in passes(resolved) for e in extract_features(spec, models, dataset)]
        with clock("moments"):
            moments = [accumulate_moments(spec, e, dataset) for e in extracted if not e.failure]
        with clock("scores"):
            scored = [score(spec, dataset, m, e, embedded) for m in moments for e in spec.estimators]
        return finish(
            spec,
            Outcome(
                dataset=dataset,
                embedded=embedded,
                extracted=extracted,
                moments=moments,
                scored=scored,
                failed=failed,
                seconds=clock.seconds,
            ),
        )
    finally:
        listener.reset(token)


def finish(spec: Spec, outcome: Outcome) -> Ranking:
    """Build the ranking of a run and write it to the spec's output folder. Raises ModelError and StoreError."""
    ranking = build_ranking(
        spec, outcome.dataset, outcome.extracted, outcome.scored, outcome.failed, describe_run(spec, outcome)
    )
    ranking.write(spec.output)
    return ranking


def describe_run(spec: Spec, outcome: Outcome) -> dict[str, Any]:
    """Return what run.json holds: spec, versions, fingerprints, times, and what was computed."""
    return {
        "spec": spec.model_dump(mode="json"),
        "versions": _versions(),
        "dataset": outcome.dataset.model_dump(mode="json", exclude={"key", "root"}),
        "weights": {e.model.id: e.key["network"] for e in outcome.extracted},
        "seconds": {stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        "label embeddings": _provenance([(e.encoder.id, e.computed) for e in outcome.embedded]),
        "features": _provenance([(e.model.id, e.computed) for e in outcome.extracted if not e.failure]),
        "moments": _provenance([(m.model.id, m.computed) for m in outcome.moments]),
        "scores": _provenance([(f"{s.model.id} by {s.estimator.id}", s.computed) for s in outcome.scored]),
    }


def _provenance(artifacts: Sequence[tuple[str, bool]]) -> dict[str, list[str]]:
    return {
        "computed": [name for name, computed in artifacts if computed],
        "from store": [name for name, computed in artifacts if not computed],
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class Clock:
    """Times the stages of a run, and says to the listener which one has begun."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block as one stage."""
        listener.get().stage(stage)
        started = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - started
