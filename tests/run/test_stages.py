"""Stages of a run where the flow's tests do not reach: a candidate that fails, an image that changes."""

from __future__ import annotations

import shutil

import pytest

import emms
from emms.datasets.base import Sample
from emms.errors import DatasetError
from emms.run import stages
from emms.spec.yaml_file import load_spec
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


def test_rank_lists_a_candidate_that_fails_and_ranks_the_rest(spec):
    good = spec.models[0].model_dump(mode="json")
    hub = "timm:resnet10t.c3_in1k"  # a right name, and no network to have its weights from
    ranking = emms.rank(spec.model_dump(mode="json") | {"models": [hub, good]})
    assert ranking.frame["model"].to_list() == [spec.models[0].id]
    assert "are not available" in ranking.failed[hub]
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
