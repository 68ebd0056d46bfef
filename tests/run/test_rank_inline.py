"""`emms.rank`: progress, warnings, and bad samples."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from PIL import Image
from rich.console import Console

import emms
from emms.datasets.imagefolder import ImageFolder
from emms.errors import DatasetError
from emms.progress import Silent
from emms.results.terminal import Terminal
from emms.store.keys import digest

WHOLE = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False}
OTHER = {"source": "timm", "name": "test_vit", "pretrained": False}


class Recorder(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str) -> None:
        self.said.append(name)

    def failed(self, what: str, reason: str) -> None:
        self.said.append(f"failed: {reason}")

    def warn(self, message: str) -> None:
        self.said.append(message)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:150])


def test_progress_is_shown_without_entering_it_first(settings):
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    emms.rank(settings, progress=Terminal(console))
    assert "24/24" in console.file.getvalue()


def test_progress_that_was_entered_is_not_exited(settings):
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with Terminal(console) as terminal:
        emms.rank(settings, progress=terminal)
        emms.rank({**settings, "estimators": ["knn"]}, progress=terminal)
        assert terminal._progress.live.is_started


def test_unavailable_weights_are_reported_before_any_network_runs(settings):
    recorder = Recorder()
    ranking = emms.rank({**settings, "models": ["timm:resnet10t.c3_in1k", WHOLE]}, progress=recorder)
    (failure,) = [number for number, said in enumerate(recorder.said) if said.startswith("failed")]
    assert failure < recorder.said.index("features")
    assert list(ranking.failed) == ["timm:resnet10t.c3_in1k"]


def test_each_sample_is_decoded_once_when_needed(settings, monkeypatch):
    loaded: list[str] = []
    load = ImageFolder.load
    monkeypatch.setattr(ImageFolder, "load", lambda self, record: loaded.append(record["id"]) or load(self, record))
    sizes = [{**WHOLE, "name": name} for name in ("mobilenetv3_small_050", "test_vit", "test_efficientnet")]
    emms.rank({**settings, "models": sizes})
    assert len(loaded) == len(set(loaded)) == 24
    loaded.clear()
    emms.rank({**settings, "models": sizes})
    assert loaded == []


def test_a_bad_sample_stops_the_run_with_its_name(settings, photos):
    damage(photos / "banana" / "3.png")
    with pytest.raises(DatasetError, match=r"(?s)1 of 24 samples cannot be read:.*banana/3.png.*on_bad_sample: skip"):
        emms.rank(settings)
    again = emms.rank({**settings, "on_bad_sample": "skip"})
    assert again.scores["samples"].unique().to_list() == [23]
    with pytest.raises(DatasetError, match=r"banana/3\.png"):  # known from the store, without decoding
        emms.rank(settings)


def test_skipping_a_sample_is_equivalent_to_removing_it(settings, photos):
    estimators = ["emms-decoded", "emms", "logme", "knn"]
    damage(photos / "banana" / "3.png")
    skipping = {**settings, "on_bad_sample": "skip", "estimators": estimators, "models": [WHOLE, OTHER]}
    first = emms.rank({**skipping, "models": [WHOLE]})
    both = emms.rank(skipping)  # the features of the first candidate are in the store
    (photos / "banana" / "3.png").unlink()
    clean = emms.rank({**skipping, "store": settings["store"] + "-2"})
    columns = ["model", "estimator", "score", "samples"]
    assert both.scores.select(columns).equals(clean.scores.select(columns))
    assert first.scores.select(columns).equals(clean.scores.filter(model=first.scores["model"][0]).select(columns))
    assert any("1 samples could not be read" in note for note in both.warnings)


def test_constant_features_give_a_warning(settings, tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "grey" / label).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (20 + i, 20)).save(tmp_path / "grey" / label / f"{i}.png")
    grey = {"format": "imagefolder", "path": str(tmp_path / "grey")}
    ranking = emms.rank({**settings, "dataset": grey, "estimators": ["emms-decoded"]})
    assert any("are the same for all samples" in note for note in ranking.warnings)
    assert not any("the same for all" in note for note in emms.rank(settings).warnings)


def test_meaningless_class_names_give_a_warning_at_the_start_and_at_the_end(settings, photos):
    for number, name in enumerate(("apple", "banana", "cherry")):
        (photos / name).rename(photos / f"{number}")
    recorder = Recorder()
    settings = {**settings, "label_encoders": ["packaged:all-minilm-l6-v2"]}
    ranking = emms.rank(settings, progress=recorder)
    assert "class_names" in ranking.warnings[0]
    assert recorder.said.index(ranking.warnings[0]) < recorder.said.index("label embeddings")
    named = {**settings["dataset"], "class_names": {"0": "apple", "1": "banana", "2": "cherry"}}
    ranking = emms.rank({**settings, "dataset": named})
    assert not any("class_names" in note for note in ranking.warnings)
    assert ranking.run["features"]["computed"] == []  # features do not depend on class names


PROCESS_STATE = """
import sys, warnings
import sklearn.linear_model, timm, transformers  # these change filters themselves
before = list(warnings.filters)
mallopt = []
import emms
assert warnings.filters == before
import emms.hardware
emms.hardware.keep_freed_memory = lambda: mallopt.append(1)
import emms.models.extraction, emms.run.rank
assert warnings.filters == before
ranking = emms.rank(sys.argv[1])
assert warnings.filters == before, warnings.filters
assert not mallopt
print("untouched")
"""


def test_importing_and_ranking_do_not_change_process_settings(settings, tmp_path):
    (tmp_path / "spec.yaml").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", PROCESS_STATE, str(tmp_path / "spec.yaml")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "untouched", done.stderr


def test_the_settings_of_torch_are_restored(settings):
    torch.backends.cudnn.benchmark = True
    try:
        emms.rank(settings)
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = False


def test_a_run_whose_scores_are_all_stored_reads_no_features(settings, tmp_path):
    expected = emms.rank(settings).scores
    shutil.rmtree(tmp_path / "store" / "features")
    again = emms.rank(settings)
    assert again.scores.equals(expected)
    assert not (tmp_path / "store" / "features").exists()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("scores", {"score": float("inf")}),
        ("scores", {"score": float("nan")}),
        ("scores", {"folds": [float("inf")]}),
        ("features", {"samples": -1}),
        ("features", {"dimension": 0}),
        ("features", {"skipped": [{"row": 99, "reason": "x"}]}),
        ("features", {"skipped": [{"row": 0, "reason": "x"}] * 2}),
    ],
)
def test_artifacts_with_impossible_numbers_are_computed_again(settings, tmp_path, kind, change):
    expected = emms.rank(settings).scores.drop("seconds")
    if kind == "features":
        shutil.rmtree(tmp_path / "store" / "scores")
    (manifest,) = (tmp_path / "store" / kind).rglob("manifest.json")
    content = json.loads(manifest.read_text())
    del content["sha256"]
    content["meta"] |= change
    manifest.write_text(json.dumps({**content, "sha256": digest(content)}))
    again = emms.rank(settings)
    assert again.scores.drop("seconds").equals(expected)
    assert len(again.run["scores"]["computed"]) == 1
    assert len(again.run["features"]["computed"]) == (kind == "features")


def test_the_table_of_scores_has_every_estimator(settings):
    ranking = emms.rank({**settings, "estimators": ["emms", "knn"]})
    written = pl.read_parquet(Path(settings["output"]) / "scores.parquet")
    assert written.equals(ranking.scores)
    assert written["estimator"].to_list() == ["emms", "knn"]
