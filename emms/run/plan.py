"""What a run would compute, and what is already in the store; nothing is downloaded and no network runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from emms.errors import ModelError, UnavailableError
from emms.models.features import find_features
from emms.run import scoring, stages
from emms.run.checks import check_models, check_run
from emms.run.references import Accumulated, Embedded, Extracted
from emms.spec import Spec
from emms.store import open_store

IN_STORE, TO_COMPUTE, TO_DOWNLOAD = "in the store", "to compute", "weights to download, then to compute"


@dataclass(frozen=True)
class Step:
    """One artifact of a run."""

    stage: str
    what: str
    state: str


def plan(spec: Spec) -> Iterator[Step]:
    """Yield each step of a run. The dataset is read, as far as it is not known, since everything depends on it.

    What is found out about the dataset and the architectures is remembered in the store if there is one; none is made.
    Raises EMMSError as a run would before its first network.
    """
    check_run(spec)
    if open_store(spec.store).exists():
        yield from _steps(spec)
        return
    with TemporaryDirectory() as folder:  # the stages need some store to hand things on through
        yield from _steps(spec.model_copy(update={"store": folder}))


def _steps(spec: Spec) -> Iterator[Step]:
    check_models(spec)
    store = open_store(spec.store)
    dataset = stages.prepare_dataset(spec)
    yield Step("dataset", spec.dataset.name, f"{dataset.count:,} samples, {dataset.classes} classes")
    embedded = []
    for encoder in spec.label_encoders:
        try:
            key = stages.embedding_key(spec, encoder, dataset)
        except UnavailableError:
            yield Step("label embeddings", encoder.id, TO_DOWNLOAD)
            continue
        embedded.append(Embedded(encoder=encoder, key=key, computed=False))
        yield Step("label embeddings", encoder.id, IN_STORE if store.find("labels", key) else TO_COMPUTE)
    failed, extracted, moments = dict[str, str](), list[Extracted](), list[Accumulated]()
    for model in stages.networks(spec):
        try:
            resolved = stages.resolve_model(spec, model, dataset)
        except UnavailableError as unavailable:
            failed[model.id] = str(unavailable)
            yield Step("features", model.id, TO_DOWNLOAD)
            continue
        except ModelError as fault:  # a candidate without a classifier: check_models has seen to the other faults
            failed[model.id] = str(fault)
            continue
        there = find_features(store, resolved.key, dataset.count) is not None
        yield Step("features", model.id, IN_STORE if there else TO_COMPUTE)
        features = Extracted(model=model, key=resolved.key)
        extracted.append(features)
        for folds in scoring.moments_needed(spec):
            key = scoring.moments_key(spec, features, dataset, embedded, folds)
            moments.append(Accumulated(features=features, folds=folds, key=key, computed=False))
    for wanted in scoring.scorings(spec, extracted, moments, failed):
        failure = wanted.given.failure if isinstance(wanted.given, Extracted) else None
        key = scoring.score_key(spec, wanted, embedded)
        known = len(embedded) == len(spec.label_encoders) and store.find("scores", key)
        state = f"none: {failure}" if failure else IN_STORE if known else TO_COMPUTE
        yield Step("score", f"{wanted.model.id} by {wanted.estimator.id}", state)
