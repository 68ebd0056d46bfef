"""A whole run in plain Python: what a notebook calls, and what the flow does with Prefect around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from emms.datasets.prepare import Prepared
from emms.errors import EMMSError
from emms.progress import Listener, Silent, listener
from emms.results.ranking import Ranking, build_ranking
from emms.run.checks import check_models, check_run
from emms.run.references import Embedded, Outcome, Scored, Scoring
from emms.run.scoring import accumulate_moments, moments_needed, score, scorings
from emms.run.stages import embed_label_texts, extract_features, networks, passes, prepare_dataset, resolve_model
from emms.spec import Spec, load_spec

Item = TypeVar("Item")
Made = TypeVar("Made")


def rank(spec: Spec | Mapping[str, Any] | str | Path, *, progress: Listener | None = None) -> Ranking:
    """Rank the candidate networks of a spec: a Spec, a mapping, or the path of a YAML file.

    progress: what hears how the work goes on, such as `emms.results.terminal.Terminal()`.
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
        clock, failed = Clock(), dict[str, str]()
        with clock("dataset"):
            dataset = prepare_dataset(spec)
        with clock("label embeddings"):
            embedded = [embed_label_texts(spec, encoder, dataset) for encoder in spec.label_encoders]
        with clock("models"):
            resolved = _each(networks(spec), lambda m: m.id, lambda m: resolve_model(spec, m, dataset), failed)
        with clock("features"):
            extracted = [e for models in passes(spec, resolved) for e in extract_features(spec, models, dataset)]
        with clock("moments"):
            there = [e for e in extracted if e.model in spec.models and not e.failure]
            moments = _each(
                [(e, folds) for e in there for folds in moments_needed(spec)],
                lambda wanted: wanted[0].model.id,
                lambda wanted: accumulate_moments(spec, wanted[0], dataset, embedded, wanted[1]),
                failed,
            )
        with clock("scores"):
            scored = [_score(spec, dataset, s, embedded) for s in scorings(spec, extracted, moments, failed)]
        outcome = Outcome(
            dataset=dataset,
            embedded=embedded,
            extracted=extracted,
            moments=moments,
            scored=scored,
            failed=failed,
            seconds=clock.seconds,
        )
        return finish(spec, outcome)
    finally:
        listener.reset(token)


def finish(spec: Spec, outcome: Outcome) -> Ranking:
    """Build the ranking of a run and write it to the spec's output folder. Raises ModelError and StoreError."""
    ranking = build_ranking(spec, outcome)
    ranking.write(spec.output)
    return ranking


def _each(
    items: Iterable[Item], name: Callable[[Item], str], stage: Callable[[Item], Made], failed: dict[str, str]
) -> list[Made]:
    """Put each item through a stage; one that fails is noted in `failed` and does not take the others along."""
    made = []
    for item in items:
        try:
            made.append(stage(item))
        except EMMSError as cause:
            failed[name(item)] = str(cause)
    return made


def _score(spec: Spec, dataset: Prepared, scoring: Scoring, labels: Sequence[Embedded]) -> Scored:
    try:
        return score(spec, dataset, scoring, labels)
    except (EMMSError, OSError) as cause:
        return Scored(model=scoring.model, estimator=scoring.estimator, failure=str(cause))


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
