"""The stages of a run up to features, each a function from references to references; `emms.run.scoring` has the rest.

`emms.rank` calls them one after another; the flow wraps each in a Prefect task. What is in the store is named, not
passed: see `emms.run.references`. Every stage first asks the store, and says in `computed` whether it had to work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from emms.datasets.prepare import Prepared, prepare
from emms.estimators import ESTIMATORS
from emms.hardware import choose_device
from emms.labels import ENCODERS, LabelEncoder
from emms.labels.embed import embed_labels, labels_key
from emms.labels.text import label_texts
from emms.models import candidate
from emms.models.extraction import Member, extract, plan_passes
from emms.models.features import Features, features_key, find_features
from emms.progress import listener
from emms.run.references import Embedded, Extracted, Resolved
from emms.spec import EncoderSpec, ModelSpec, Spec
from emms.store import open_store
from emms.store.digests import FileDigests


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


def passes(spec: Spec, resolved: Sequence[Resolved]) -> list[list[Resolved]]:
    """Group candidates that are extracted together: see `emms.models.extraction`."""
    store, by_id = open_store(spec.store), {r.model.id: r for r in resolved}
    planned = plan_passes([Member(candidate(r.model, store), r.key) for r in resolved])
    return [[by_id[member.id] for member in members] for members in planned]


def networks(spec: Spec) -> list[ModelSpec]:
    """Return whose outputs the estimators read: the candidates, and their classifiers where an estimator asks."""
    wanted = list(spec.models)
    if any(ESTIMATORS.get(estimator.name).reads == "source logits" for estimator in spec.estimators):
        wanted += [model.logits() for model in spec.models if model.layer is None]
    return list({model.id: model for model in wanted}.values())


def _encoder(encoder: EncoderSpec) -> LabelEncoder:
    return ENCODERS.get(encoder.source)(encoder.name, encoder.pooling)


def _texts(spec: Spec, dataset: Prepared) -> list[str]:
    return label_texts(spec.task, dataset.labels(open_store(spec.store)), spec.label_template)
