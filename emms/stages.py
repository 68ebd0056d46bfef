"""The stages of a run, each a function from references to references: what is in the store is named, not passed.

`emms.rank` calls them one after another; the flow wraps each in a Prefect task. References are small pydantic models,
so that they travel as JSON. Every stage first asks the store, and says in `computed` whether it had to work.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from emms.datasets.prepare import Prepared, prepare
from emms.digests import FileDigests
from emms.errors import EMMSError, EstimatorError, StoreError
from emms.estimators import ESTIMATORS, MomentEstimator, UnreliableScoreWarning, make_estimator
from emms.features import Features, FeaturesKey, features_key, find_features
from emms.hardware import choose_device
from emms.labels import ENCODERS, LabelEncoder
from emms.labels.embed import embed_labels, labels_key, read_label_embeddings
from emms.labels.text import label_texts
from emms.labels.width import common_width
from emms.models import candidate
from emms.models.extraction import Member, extract, plan_passes
from emms.moments import ClassMoments, TargetMoments
from emms.progress import listener
from emms.spec import EncoderSpec, EstimatorSpec, ModelSpec, Spec
from emms.store import Store, address, open_store

MOMENTS_VERSION = 1
MOMENTS_FILE = "moments.parquet"
SCORE_VERSION = 1
SHARED_LABELS = 32_768
"""With more different labels, sums of features by label would outgrow the rest: each sample has a label of its own."""


class Reference(BaseModel):
    """What a stage hands on."""

    model_config = ConfigDict(frozen=True)


class Resolved(Reference):
    """A candidate whose weights are at hand, and what determines its features."""

    model: ModelSpec
    key: FeaturesKey


class Extracted(Reference):
    """A candidate's features, or the reason why there are none."""

    model: ModelSpec
    key: FeaturesKey
    computed: bool = False
    dimension: int = 0
    parameters: int = 0
    images_per_second: float = 0.0
    failure: str | None = None


class Embedded(Reference):
    """An encoder's embeddings of the labels."""

    encoder: EncoderSpec
    key: dict[str, Any]
    computed: bool


class Accumulated(Reference):
    """The moments of a candidate's features."""

    model: ModelSpec
    key: dict[str, Any]
    computed: bool


class Scored(Reference):
    """A candidate's score by one estimator, or the reason why there is none."""

    model: ModelSpec
    estimator: EstimatorSpec
    computed: bool
    score: float | None = None
    seconds: float = 0.0
    failure: str | None = None


class Outcome(Reference):
    """What the stages of a run gave: the candidates' features, the labels' embeddings, the scores."""

    dataset: Prepared
    embedded: list[Embedded]
    extracted: list[Extracted]
    moments: list[Accumulated]
    scored: list[Scored]
    failed: dict[str, str]
    """Candidates that failed on the way, with the reason."""
    seconds: dict[str, float]
    """Wall time of each stage."""


def prepare_dataset(spec: Spec) -> Prepared:
    """List, select and verify the samples. Raises DatasetError."""

    def progress(done: int, total: int) -> None:
        listener.get().advance("dataset", done, total)

    return prepare(
        spec.dataset,
        open_store(spec.store),
        limit=spec.limit,
        seed=spec.seed,
        on_bad_sample=spec.on_bad_sample,
        progress=progress,
    )


def resolve_model(spec: Spec, model: ModelSpec, dataset: Prepared) -> Resolved:
    """Have a candidate's weights at hand, downloaded if need be, and address its features. Raises ModelError."""
    store = open_store(spec.store)
    network = candidate(model, store)
    network.check()
    weights = network.network(FileDigests(store))
    key = features_key(dataset.fingerprint, weights, network.preprocessing(), network.view, spec.dtype)
    return Resolved(model=model, key=key)


def extract_features(spec: Spec, models: Sequence[Resolved], dataset: Prepared) -> list[Extracted]:
    """Compute what the store lacks of the features of one pass of candidates. Raises DatasetError and StoreError."""
    store = open_store(spec.store)
    members = [Member(candidate(resolved.model, store), resolved.key) for resolved in models]
    if any(find_features(store, member.key, dataset.count) is None for member in members):
        began = time.time_ns()
        records = dataset.records(spec.dataset, store)
        device = choose_device(spec.device)
        extract(
            members, spec.dataset, records, store, device, spec.batch_size, lambda part: dataset.confirm(part, began)
        )
    return [_extracted(member, find_features(store, member.key, dataset.count)) for member in members]


def _extracted(member: Member, features: Features | None) -> Extracted:
    extracted = Extracted(model=member.candidate.spec, key=member.key, computed=member.computed > 0)
    if features is None:
        reason = member.failure or "its features vanished from the store; run again"
        return extracted.model_copy(update={"failure": reason})
    facts = {name: getattr(features, name) for name in ("dimension", "parameters", "images_per_second")}
    return extracted.model_copy(update=facts)


def embed_label_texts(spec: Spec, encoder: EncoderSpec, dataset: Prepared) -> Embedded:
    """Embed the labels' texts with one encoder. Raises LabelEncoderError, and UnavailableError without the hub."""
    store = open_store(spec.store)
    model, texts = _encoder(encoder), _texts(spec, dataset)
    key = labels_key(model, texts, store)
    computed = store.find("labels", key) is None
    if computed:
        embed_labels(model, texts, store, key, str(choose_device(spec.device)))
    return Embedded(encoder=encoder, key=key, computed=computed)


def embedding_key(spec: Spec, encoder: EncoderSpec, dataset: Prepared) -> dict[str, Any]:
    """Return what determines an encoder's embeddings of the dataset's labels; raises as `embed_label_texts` does."""
    return labels_key(_encoder(encoder), _texts(spec, dataset), open_store(spec.store))


def accumulate_moments(spec: Spec, features: Extracted, dataset: Prepared, labels: Sequence[Embedded]) -> Accumulated:
    """Sum up a candidate's features, in one pass over them. Raises EstimatorError."""
    store = open_store(spec.store)
    key = moments_key(features.key, dataset, labels)
    if store.find("moments", key):
        return Accumulated(model=features.model, key=key, computed=False)
    found = find_features(store, features.key, dataset.count)
    if found is None:
        raise StoreError(f"features of model '{features.model.id}' vanished from the store; run again")
    index, start = dataset.label_index(store), 0
    moments: ClassMoments | TargetMoments
    if _labels_are_shared(dataset):
        moments = ClassMoments(found.dimension, dataset.classes)
        targets: np.ndarray | None = None
    else:
        targets = _label_embeddings(dataset, labels, store)
        moments = TargetMoments(found.dimension, *targets.shape[1:])
    for batch in found:
        here = index[start : start + len(batch)]
        moments.update(batch, here if targets is None else targets[here])
        start += len(batch)
    with store.create("moments", key) as draft:
        draft.table(MOMENTS_FILE, moments.to_table())
        draft.meta |= {"model": features.model.id, "samples": start}
    return Accumulated(model=features.model, key=key, computed=True)


def score(
    spec: Spec, dataset: Prepared, moments: Accumulated, estimator: EstimatorSpec, labels: Sequence[Embedded]
) -> Scored:
    """Score a candidate by one estimator; whatever goes wrong is a failure of this score alone."""
    store = open_store(spec.store)
    key = score_key(moments, estimator, labels)
    found = store.find("scores", key)
    computed = found is None
    if found is None:
        started = time.perf_counter()
        try:
            value = _score(dataset, moments, estimator, labels, store)
        except Exception as cause:  # an estimator may be foreign code, and linear algebra has errors of its own
            reason = str(cause) if isinstance(cause, EMMSError) else f"{type(cause).__name__}: {cause}"
            return Scored(model=moments.model, estimator=estimator, computed=True, failure=reason)
        with store.create("scores", key) as draft:
            draft.meta |= {"model": moments.model.id, "estimator": estimator.id}
            draft.meta |= {"score": value, "seconds": time.perf_counter() - started}
        noted = draft.meta
    else:
        noted = found.meta
    return Scored(
        model=moments.model, estimator=estimator, computed=computed, score=noted["score"], seconds=noted["seconds"]
    )


def _score(
    dataset: Prepared, moments: Accumulated, estimator: EstimatorSpec, labels: Sequence[Embedded], store: Store
) -> float:
    scorer = make_estimator(estimator.name, **estimator.settings)
    if not isinstance(scorer, MomentEstimator):
        raise EstimatorError(
            f"estimator '{scorer.name}' reads samples, which a run does not give it; use it from Python"
        )
    found = store.find("moments", moments.key)
    if found is None:
        raise StoreError(f"moments of model '{moments.model.id}' vanished from the store; run again")
    table = found.table(MOMENTS_FILE)
    with warnings.catch_warnings():
        # What a run says about too few samples it says once, for all models: see emms.ranking.unreliable.
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        if not _labels_are_shared(dataset):
            scorer.fit_moments(TargetMoments.from_table(table))
        elif scorer.needs == "label embeddings":
            scorer.fit_moments(ClassMoments.from_table(table), _label_embeddings(dataset, labels, store))
        else:
            scorer.fit_moments(ClassMoments.from_table(table))
    if not np.isfinite(scorer.score_):
        raise EstimatorError(f"estimator '{scorer.name}' gives {scorer.score_}; the features may be constant")
    return float(scorer.score_)


def moments_key(features: FeaturesKey, dataset: Prepared, labels: Sequence[Embedded]) -> dict[str, Any]:
    """Return what determines the moments of a candidate's features; the labels of samples are in the features' key."""
    embedded = [] if _labels_are_shared(dataset) else [address(label.key) for label in labels]
    return {"stage": "moments", "version": MOMENTS_VERSION, "features": address(features), "labels": embedded}


def score_key(moments: Accumulated, estimator: EstimatorSpec, labels: Sequence[Embedded]) -> dict[str, Any]:
    """Return what determines a score."""
    scorer = ESTIMATORS.get(estimator.name)
    embedded = labels if scorer.needs == "label embeddings" else []
    return {
        "stage": "score",
        "version": SCORE_VERSION,
        "moments": address(moments.key),
        "labels": [address(label.key) for label in embedded],
        "estimator": {"name": estimator.name, "version": scorer.version, **estimator.settings},
    }


def passes(spec: Spec, resolved: Sequence[Resolved]) -> list[list[Resolved]]:
    """Group candidates that are extracted together: see `emms.models.extraction`."""
    store, by_id = open_store(spec.store), {r.model.id: r for r in resolved}
    planned = plan_passes([Member(candidate(r.model, store), r.key) for r in resolved])
    return [[by_id[member.id] for member in members] for members in planned]


def _labels_are_shared(dataset: Prepared) -> bool:
    """Say whether samples share few labels, as classes are shared: then sums by label are all one needs of them."""
    return dataset.classes <= SHARED_LABELS


def _encoder(encoder: EncoderSpec) -> LabelEncoder:
    return ENCODERS.get(encoder.source)(encoder.name, encoder.pooling)


def _texts(spec: Spec, dataset: Prepared) -> list[str]:
    return label_texts(spec.task, dataset.labels(open_store(spec.store)), spec.label_template)


def _label_embeddings(dataset: Prepared, labels: Sequence[Embedded], store: Store) -> np.ndarray:
    """Return the embeddings of all labels by all encoders, (C, D2, K)."""
    counts = np.bincount(dataset.label_index(store), minlength=dataset.classes)
    return common_width([read_label_embeddings(store, label.key) for label in labels], counts)
