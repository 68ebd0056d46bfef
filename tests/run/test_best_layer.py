"""`layer: best`: each layer is scored, and the best of the other folds counts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_networks

import emms
from emms.errors import EstimatorError
from emms.run.best_layer import best_per_fold
from emms.run.dry_run import dry_run
from emms.spec import load_spec

FOLDS = [
    [0.8, 0.6, 0.9],
    [0.5, 0.95, 0.4],
]  # the others of fold 1: 1.5, 1.35; of fold 2: 1.7, 0.9; of fold 3: 1.4, 1.45


def test_the_best_layer_is_chosen_on_the_other_folds():
    layers = [SimpleNamespace(name="x", fold_scores_=np.array(scores), score_=0.0) for scores in FOLDS]
    best = best_per_fold(["1", "2"], layers)
    assert best.layers == ["1", "1", "2"]
    assert best.folds == [0.8, 0.6, 0.4]
    assert best.score == pytest.approx(np.mean(best.folds))
    with pytest.raises(EstimatorError, match="`layer: best` is chosen by scores of held-out samples"):
        best_per_fold(["1"], [SimpleNamespace(name="emms", fold_scores_=None, score_=0.0)])


@pytest.fixture
def settings(tmp_path: Path) -> dict:
    folder = tmp_path / "bert"
    tiny_networks.build(folder, "bert")
    return {
        "task": "text-classification",
        "dataset": {"format": "scenes", "n": 60},
        "models": [{"source": "folder", "name": str(folder), "layer": "best", "alias": "best one"}],
        "label_encoders": ["packaged:glove-6b-50d"],
        "estimators": ["emms-decoded"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }


def test_a_run_scores_each_layer_and_records_which_was_chosen(settings):
    folder, layers = settings["models"][0]["name"], ["1", "2", "3"]
    spec = load_spec(settings)
    assert [item.model.layer for item in dry_run(spec).to_extract] == layers
    (row,) = emms.rank(spec).frame.to_dicts()
    recorded = json.loads((spec.output / "run.json").read_text())["features"]
    assert recorded["computed"] == [f"best one at {layer}" for layer in layers]
    assert recorded["not needed"] == []

    each = {**settings, "models": [f"{folder}@{layer}" for layer in layers]}
    emms.rank(each)
    recorded = json.loads((spec.output / "run.json").read_text())["features"]
    assert (recorded["computed"], len(recorded["from store"])) == ([], 3)  # they share features with `best`

    (again,) = emms.rank(spec).frame.to_dicts()
    assert again["score"] == row["score"]
    recorded = json.loads((spec.output / "run.json").read_text())["features"]
    assert recorded == {"computed": [], "from store": [], "not needed": ["best one"]}
