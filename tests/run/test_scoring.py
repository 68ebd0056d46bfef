"""From features to scores: what estimators are given, and that it is what they would be given by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emms
from emms.estimators import make_estimator
from emms.estimators.emms import EMMS
from emms.labels.embed import read_label_embeddings
from emms.models.features import find_features
from emms.moments.folds import deal
from emms.run import scoring, stages
from emms.spec import ModelSpec, load_spec
from emms.store import open_store

WHOLE = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False}
LAYER = {**WHOLE, "layer": "blocks.0"}


@pytest.fixture
def settings(photos, tmp_path):
    return {
        "dataset": {"format": "imagefolder", "path": str(photos)},
        "models": [LAYER],
        "label_encoders": ["packaged:glove-6b-50d"],
        "estimators": ["emms"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }


def through(spec):
    """Take a spec with one estimator through all stages; return the dataset, what was extracted, and the scores."""
    dataset = stages.prepare_dataset(spec)
    labels = [stages.embed_label_texts(spec, encoder, dataset) for encoder in spec.label_encoders]
    resolved, failed = [], {}
    for model in stages.networks(spec):
        try:
            resolved.append(stages.resolve_model(spec, model, dataset))
        except emms.EMMSError as cause:
            failed[model.id] = str(cause)
    features = [e for members in stages.passes(spec, resolved) for e in stages.extract_features(spec, members, dataset)]
    moments = [
        scoring.accumulate_moments(spec, e, dataset, labels, folds)
        for e in features
        if e.model in spec.models
        for folds in scoring.moments_needed(spec)
    ]
    wanted = scoring.scorings(spec, features, moments, failed)
    return dataset, labels, features, [scoring.score(spec, dataset, s, labels) for s in wanted]


def features_of(spec, dataset, extracted):
    store = open_store(spec.store)
    return np.concatenate(list(find_features(store, extracted.key, dataset.count))), dataset.label_index(store)


def test_labels_that_samples_do_not_share_give_the_same_score_from_their_own_moments(settings, monkeypatch):
    *_, (shared,) = through(load_spec(settings))
    monkeypatch.setattr(scoring, "SHARED_LABELS", 2)  # as if three labels were too many to sum by
    *_, (single,) = through(load_spec({**settings, "store": settings["store"] + "-2"}))
    assert single.score == pytest.approx(shared.score, rel=1e-9)


def test_the_score_is_that_of_the_estimator_on_the_features_themselves(settings):
    spec = load_spec(settings)
    dataset, labels, (extracted,), (scored,) = through(spec)
    X, y = features_of(spec, dataset, extracted)
    Z = read_label_embeddings(open_store(spec.store), labels[0].key)[:, :, None]
    assert scored.score == pytest.approx(EMMS().fit(X, Z, y).score_, rel=1e-9)


@pytest.mark.parametrize("kept", [True, False])
def test_moments_are_kept_only_where_they_are_smaller_than_the_features(settings, monkeypatch, kept):
    *_, (usual,) = through(load_spec(settings))
    monkeypatch.setattr(scoring, "are_kept", lambda *_: kept)
    store = settings["store"] + "-2"
    *_, (scored,) = through(load_spec({**settings, "store": store}))
    assert bool(list(Path(store, "moments").rglob("manifest.json"))) == kept
    assert scored.score == pytest.approx(usual.score, rel=1e-12)


def test_an_estimator_of_samples_gets_the_features_themselves(settings):
    spec = load_spec({**settings, "estimators": ["knn"]})
    dataset, _, (extracted,), (scored,) = through(spec)
    assert scored.score == make_estimator("knn").fit(*features_of(spec, dataset, extracted)).score_


def test_an_estimator_of_logits_gets_those_of_the_networks_own_classifier(settings):
    spec = load_spec({**settings, "models": [WHOLE, LAYER], "estimators": ["leep"]})
    dataset, _, extracted, scored = through(spec)
    (logits,) = [e for e in extracted if e.model.pool == "logits"]
    assert logits.dimension == 1_000
    whole, layer = scored
    assert whole.score == make_estimator("leep").fit(*features_of(spec, dataset, logits)).score_
    assert layer.score is None
    assert layer.failure == "layers before a classifier have no logits"


def test_logits_that_an_estimator_asks_for_are_no_candidate(settings):
    ranking = emms.rank({**settings, "models": [WHOLE, LAYER], "estimators": ["emms", "leep", "nce"]})
    assert set(ranking.frame["model"]) == {m.id for m in load_spec({**settings, "models": [WHOLE, LAYER]}).models}
    assert ranking.failed == {}
    note = f"no score by leep, nce for {ModelSpec(**LAYER).id}: layers before a classifier have no logits"
    assert note in ranking.warnings
    assert not any("pool logits" in said for said in ranking.warnings)


def test_an_estimator_that_cannot_score_fails_alone(settings, monkeypatch):
    monkeypatch.setattr(EMMS, "fit_moments", lambda *_: 1 / 0)
    *_, (scored,) = through(load_spec(settings))
    assert scored.score is None
    assert scored.failure == "ZeroDivisionError: division by zero"


def test_a_store_that_cannot_be_read_just_now_is_no_verdict_on_the_candidate(settings, monkeypatch):
    monkeypatch.setattr(scoring, "_moments", lambda *_: (_ for _ in ()).throw(OSError("connection reset")))
    with pytest.raises(OSError, match="connection reset"):
        through(load_spec(settings))
    ranking_of = {**settings, "estimators": ["emms-decoded", "emms"]}
    assert any("connection reset" in note for note in emms.rank(ranking_of).warnings)


def keys(settings, **changes):
    spec = load_spec({**settings, **changes})
    dataset = stages.prepare_dataset(spec)
    labels = [stages.embed_label_texts(spec, encoder, dataset) for encoder in spec.label_encoders]
    resolved = [stages.resolve_model(spec, model, dataset) for model in spec.models]
    features = [e for members in stages.passes(spec, resolved) for e in stages.extract_features(spec, members, dataset)]
    moments = [
        scoring.accumulate_moments(spec, e, dataset, labels, folds)
        for e in features
        for folds in scoring.moments_needed(spec)
    ]
    return [scoring.score_key(spec, s, labels) for s in scoring.scorings(spec, features, moments, {})]


def test_a_score_is_known_again_whatever_else_is_asked_for_and_however_its_settings_are_written(settings):
    (alone,) = keys(settings, estimators=["emms"])
    beside, _ = keys(settings, estimators=["emms", "emms-cv"])
    (written,) = keys(settings, estimators=[{"name": "emms", "solver": "exact", "tolerance": "1e-8"}])
    assert alone == beside == written
    (other,) = keys(settings, estimators=[{"name": "emms", "solver": "released"}])
    assert other != alone


def test_what_is_random_depends_on_the_seed_of_the_run(settings):
    random = ["emms-decoded", "emms-cv", "linear-probe"]
    for one, other in zip(keys(settings, estimators=random), keys(settings, estimators=random, seed=1), strict=True):
        assert one != other
    fixed = [{"name": name, "seed": 3} for name in ("emms-decoded", "linear-probe")] + ["emms", "logme"]
    assert keys(settings, estimators=fixed) == keys(settings, estimators=fixed, seed=1)


def test_samples_of_a_label_are_dealt_evenly_and_by_seed():
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    folds = deal(labels, 5, seed=0)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) == 0
    assert (deal(labels, 5, seed=0) == folds).all()
    assert (deal(labels, 5, seed=1) != folds).any()
