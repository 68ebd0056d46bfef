"""The stages of a run up to features: list the samples, embed the labels, resolve the networks, extract features."""

from __future__ import annotations

import time
from collections.abc import Sequence

from emms.datasets.samples import Samples, Skipped, list_samples, unreadable
from emms.errors import DatasetError, UnavailableError
from emms.hardware import choose_device
from emms.hub import local_only
from emms.labels import ENCODERS, LabelEncoder
from emms.labels.embed import embed_labels, labels_key
from emms.models import candidate
from emms.models.extraction import Extraction
from emms.models.features import SHARD_ROWS, Features, FeaturesKey, find_features
from emms.models.passes import Member
from emms.run.references import Embedded, Extracted, Listed, Pass, Resolved
from emms.run.stage import Stage, Workspace
from emms.spec import EncoderSpec, ModelSpec
from emms.store import Store
from emms.store.digests import FileDigests


def _list(run: Workspace) -> Listed:
    spec = run.spec
    samples, new = list_samples(
        spec.dataset, run.task, run.store, limit=spec.limit, seed=spec.seed, on_bad_sample=spec.on_bad_sample
    )
    return Listed(samples=samples, computed=new)


LIST = Stage(name="dataset", verb="list samples of", of=lambda run: run.spec.dataset.name, refer=_list, make=_list)
"""List, select and digest the samples. Always carried out, since files may have changed."""


def _refer_embedded(run: Workspace, encoder: EncoderSpec, samples: Samples) -> Embedded:
    try:
        with local_only():
            key = labels_key(_encoder(encoder), _texts(run, samples), run.store)
    except UnavailableError:
        key = None
    return Embedded(encoder=encoder, key=key)


def _embed(run: Workspace, encoder: EncoderSpec, samples: Samples) -> Embedded:
    model, texts = _encoder(encoder), _texts(run, samples)
    key = labels_key(model, texts, run.store)
    new = run.store.find(key) is None
    if new:
        embed_labels(model, texts, run.store, key, str(choose_device(run.spec.device)), classes=run.task.classes)
    artifact = run.store.find(key)
    notes = tuple(artifact.meta.notes()) if artifact else ()
    return Embedded(encoder=encoder, key=key, computed=new, notes=notes)


EMBED = Stage(
    name="label embeddings",
    verb="embed labels by",
    of=lambda run, encoder, samples: encoder.id,
    refer=_refer_embedded,
    make=_embed,
    tag="emms-embed",
    downloads=True,
    description="Embed the texts of the labels by one encoder.",
)


def _refer_resolved(run: Workspace, model: ModelSpec, samples: Samples) -> Resolved:
    try:
        with local_only():
            return _resolve(run, model, samples)
    except UnavailableError:
        return Resolved(model=model, key=None)


def _resolve(run: Workspace, model: ModelSpec, samples: Samples) -> Resolved:
    network = candidate(model, run.store, run.task.inputs())
    network.check()
    views = network.views()
    key = FeaturesKey(
        contents=samples.contents_of(run.store, network.reads),
        network=network.network(FileDigests(run.store)),
        preprocessing=network.preprocessing(),
        reads=tuple(sorted(network.reads)),
        layer=views[0].layer,
        pool=views[0].pool,
        dtype=run.spec.dtype,
    )
    layers = tuple(view.layer for view in views) if len(views) > 1 else ()
    return Resolved(model=model, key=key, in_files=samples.in_files(network.reads), layers=layers)


RESOLVE = Stage(
    name="weights",
    verb="resolve",
    of=lambda run, model, samples: model.id,
    refer=_refer_resolved,
    make=_resolve,
    tag="emms-download",
    downloads=True,
    hours=2,
    description="Download the weights of a network if necessary, and determine the key of its features.",
)


def _refer_pass(run: Workspace, networks: Sequence[Resolved], samples: Samples) -> Pass:
    return Pass(
        members=tuple(Extracted(model=n.model, key=n.key, samples=samples, in_files=n.in_files) for n in networks)
    )


def _extract(run: Workspace, networks: Sequence[Resolved], samples: Samples) -> Pass:
    spec, store = run.spec, run.store
    members = [
        Member(candidate(network.model, store, run.task.inputs()), _known(network), network.in_files)
        for network in networks
    ]
    shards = {m.id: samples.shard_contents(store, SHARD_ROWS, frozenset(m.key.reads)) for m in members}
    if any(find_features(store, member.key, shards[member.id]) is None for member in members):
        since = time.time_ns()
        Extraction(
            dataset=spec.dataset,
            records=samples.records(spec.dataset, store),
            shards=shards,
            since=since,
            store=store,
            device=choose_device(spec.device),
            batch_size=spec.batch_size,
            on_bad_sample=spec.on_bad_sample,
        ).run(members)
    extracted, skipped = [], None
    for network, member in zip(networks, members, strict=True):
        features = find_features(store, member.key, shards[member.id])
        if features is not None and member.in_files:
            skipped = _skipped(features, samples, store)
        failure = member.failure or (None if features else "its features were removed from the store; run again")
        extracted.append(
            Extracted(
                model=network.model,
                key=member.key,
                samples=samples,
                in_files=network.in_files,
                failure=failure,
                computed=member.computed > 0,
            )
        )
    if skipped and spec.on_bad_sample == "stop":  # the features are from a run with `on_bad_sample: skip`
        raise unreadable(skipped, samples.listed)
    return Pass(
        members=tuple(extracted),
        skipped=None if skipped is None else tuple(skipped),
        computed=any(member.computed for member in members),
    )


EXTRACT = Stage(
    name="features",
    verb="extract",
    of=lambda run, networks, samples: ", ".join(network.model.id for network in networks),
    refer=_refer_pass,
    make=_extract,
    tag="emms-extract",
    hours=7 * 24,
    description="Run the samples once through the networks of one pass. If called again, continue where it stopped.",
)


def _encoder(encoder: EncoderSpec) -> LabelEncoder:
    return ENCODERS.get(encoder.source)(encoder.name, encoder.pooling)


def _texts(run: Workspace, samples: Samples) -> list[str]:
    return run.task.texts(samples.label_names(run.store), run.spec.label_template)


def _known(network: Resolved) -> FeaturesKey:
    if network.key is None:
        raise DatasetError(f"the weights of model '{network.model.id}' have not been resolved")
    return network.key


def _skipped(features: Features, samples: Samples, store: Store) -> list[Skipped]:
    bad = features.skipped
    if not bad:
        return []
    ids = samples.table(store)["id"]
    return [Skipped(row=one.row, id=ids[one.row], reason=one.reason) for one in bad]
