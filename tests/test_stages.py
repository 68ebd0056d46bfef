"""Stages of a run where the flow's tests do not reach: labels that are not shared, estimators that break."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import emms
from emms import stages
from emms.datasets.base import Sample
from emms.errors import DatasetError
from emms.estimators.emms import EMMS
from emms.spec import EstimatorSpec
from emms.spec_file import load_spec
from emms.store import open_store


@pytest.fixture
def spec(photos, tmp_path):
    return load_spec(
        {
            "dataset": {"format": "imagefolder", "path": str(photos)},
            "models": [{"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False, "layer": "blocks.0"}],
            "label_encoders": ["packaged:glove-6b-50d"],
            "estimators": ["emms"],
            "store": str(tmp_path / "store"),
            "output": str(tmp_path / "output"),
        }
    )


def through(spec):
    dataset = stages.prepare_dataset(spec)
    labels = [stages.embed_label_texts(spec, encoder, dataset) for encoder in spec.label_encoders]
    resolved = [stages.resolve_model(spec, model, dataset) for model in spec.models]
    (features,) = stages.extract_features(spec, resolved, dataset)
    moments = stages.accumulate_moments(spec, features, dataset, labels)
    return dataset, labels, features, moments


def test_labels_that_samples_do_not_share_give_the_same_score_from_their_own_moments(spec, monkeypatch):
    dataset, labels, _, moments = through(spec)
    shared = stages.score(spec, dataset, moments, spec.estimators[0], labels)
    monkeypatch.setattr(stages, "SHARED_LABELS", 2)  # as if three labels were too many to sum by
    dataset, labels, _, moments = through(spec)
    single = stages.score(spec, dataset, moments, spec.estimators[0], labels)
    assert shared.computed
    assert single.computed
    assert single.score == pytest.approx(shared.score, rel=1e-9)


def test_the_score_is_that_of_the_estimator_on_the_features_themselves(spec):
    dataset, labels, features, moments = through(spec)
    store = open_store(spec.store)
    scored = stages.score(spec, dataset, moments, spec.estimators[0], labels)
    X = np.concatenate(list(stages.find_features(store, features.key, dataset.count)))
    Z = stages.read_label_embeddings(store, labels[0].key)[:, :, None]
    assert scored.score == pytest.approx(EMMS().fit(X, Z, dataset.label_index(store)).score_, rel=1e-9)


def test_an_estimator_that_cannot_score_fails_alone(spec):
    dataset, labels, _, moments = through(spec)
    settings = {"solver": "alternating", "max_iter": 0}
    scored = stages.score(spec, dataset, moments, EstimatorSpec(name="emms", **settings), labels)
    assert scored.score is None
    assert "max_iter must be at least 1" in scored.failure


def test_rank_lists_a_candidate_that_fails_and_ranks_the_rest(spec):
    good = spec.models[0].model_dump(mode="json")
    hub = "timm:resnet10t.c3_in1k"  # a right name, and no network to have its weights from
    ranking = emms.rank(spec.model_dump(mode="json") | {"models": [hub, good]})
    assert ranking.frame["model"].to_list() == [spec.models[0].id]
    assert "cannot be had" in ranking.failed[hub]
    assert "not ranked" in repr(ranking)


def test_features_of_an_image_that_changed_during_the_run_are_not_kept(spec, photos):
    dataset = stages.prepare_dataset(spec)
    resolved = [stages.resolve_model(spec, model, dataset) for model in spec.models]
    shutil.copy(photos / "apple" / "1.png", photos / "apple" / "2.png")
    with pytest.raises(DatasetError, match=r"sample 'apple/2.png' has changed since the run began"):
        stages.extract_features(spec, resolved, dataset)
    assert stages.find_features(open_store(spec.store), resolved[0].key, dataset.count) is None


def test_samples_are_upright_rgb_images(spec):
    record = spec.dataset.listing().samples.row(0, named=True)
    sample = spec.dataset.load(record)
    assert isinstance(sample, Sample)
    assert sample.image.mode == "RGB"
