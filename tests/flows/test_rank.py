"""The flow on a real Prefect server: results, caching, and failures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl
import pytest
import timm
import torch

import emms
from emms.errors import DatasetError, LabelEncoderError, ModelError
from emms.spec import load_spec

pytestmark = pytest.mark.usefixtures("prefect_server")


def read_run(settings) -> dict:
    return json.loads((Path(settings["output"]) / "run.json").read_text())


def read_ranking(settings) -> list[dict[str, str]]:
    with (Path(settings["output"]) / "ranking.csv").open() as file:
        return list(csv.DictReader(file))


def run(settings, **changes):
    from flows.rank import rank

    return rank(load_spec({**settings, **changes}), return_state=True)


def feature_files(settings) -> dict[str, Path]:
    """The feature file of each model."""
    found = {}
    for manifest in Path(settings["store"], "features").rglob("manifest.json"):
        content = json.loads(manifest.read_text())
        found[content["meta"]["model"]] = manifest.parent / content["files"]["features.parquet"]["file"]
    return found


def test_the_flow_ranks_every_candidate_by_every_estimator(settings):
    state = run(settings, estimators=["logme", "emms"])
    assert state.is_completed()
    assert state.name == "Completed"
    rows = read_ranking(settings)
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["trained"] for row in rows} == {"false"}
    assert [float(row["score"]) for row in rows] == sorted((float(row["score"]) for row in rows), reverse=True)
    scores = pl.read_parquet(Path(settings["output"]) / "scores.parquet")
    assert scores.select("model", "estimator").unique().height == 6
    assert scores["dataset"].unique().to_list() == ["photos"]


def test_the_library_gives_the_same_result_without_prefect(settings, tmp_path):
    run(settings)
    ranking = emms.rank({**settings, "store": str(tmp_path / "other"), "output": str(tmp_path / "elsewhere")})
    flow = pl.read_parquet(Path(settings["output"]) / "scores.parquet")
    columns = ["dataset", "model", "estimator", "score", "samples", "features", "trained"]
    assert ranking.scores.select(columns).equals(flow.select(columns))
    assert "timm:resnet10t (untrained, seed 0)" in repr(ranking)


def test_a_repeated_run_computes_only_a_new_model(settings):
    run(settings)
    run(settings)
    for kind in ("label embeddings", "features", "moments", "scores"):
        assert read_run(settings)[kind]["computed"] == []
    assert len(read_run(settings)["features"]["not needed"]) == 3
    new = {"source": "timm", "name": "resnet10t", "pretrained": False, "seed": 1}
    run(settings, models=[*settings["models"], new])
    assert read_run(settings)["features"]["computed"] == ["timm:resnet10t (untrained, seed 1)"]
    assert len(read_run(settings)["scores"]["computed"]) == 2


def test_tasks_are_cached_from_the_second_run_on(settings):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import TaskRunSort

    def states() -> dict[str, set[str]]:
        flow_run = run(settings).state_details.flow_run_id
        with get_client(sync_client=True) as client:
            of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
            task_runs = client.read_task_runs(flow_run_filter=of_run, limit=200, sort=TaskRunSort.NAME_ASC)
        found: dict[str, set[str]] = {}
        for task_run in task_runs:
            found.setdefault(task_run.name.partition(" ")[0], set()).add(task_run.state_name)
        return found

    first = states()
    assert first["embed"] == first["extract"] == first["score"] == {"Completed"}
    second = states()
    assert second["embed"] == second["score"] == {"Cached"}
    assert "extract" not in second  # no score was missing


@pytest.mark.parametrize("damage", ["remove", "flip a byte"])
def test_a_damaged_feature_file_is_the_only_one_computed_again(settings, damage):
    run(settings)
    before = read_ranking(settings)
    model = "timm:mobilenetv3_small_050 (untrained, seed 0)"
    file = feature_files(settings)[model]
    if damage == "remove":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 4
        file.write_bytes(content)
    run(settings)  # with all scores in the store, features are not read
    assert read_run(settings)["features"]["computed"] == []
    run(settings, estimators=["emms", "knn"])
    assert read_run(settings)["features"]["computed"] == [model]
    scores = [(row["model"], row["score"]) for row in read_ranking(settings)]
    assert scores == [(row["model"], row["score"]) for row in before]


def test_a_renamed_checkpoint_has_its_new_name_with_cached_artifacts(settings, tmp_path):
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "a.pth")
    mine = {"source": "timm", "name": "mobilenetv3_small_050", "checkpoint": str(tmp_path / "a.pth")}
    run(settings, models=[mine])
    (tmp_path / "a.pth").rename(tmp_path / "b.pth")
    run(settings, models=[{**mine, "checkpoint": str(tmp_path / "b.pth")}])
    assert read_run(settings)["features"]["computed"] == []
    assert [row["model"] for row in read_ranking(settings)] == [f"timm:mobilenetv3_small_050 ({tmp_path}/b.pth)"]


def test_a_candidate_that_fails_is_listed_and_the_rest_is_ranked(settings):
    state = run(settings, models=["timm:resnet10t.c3_in1k", *settings["models"]])  # no model hub is reachable
    assert state.is_completed()
    assert state.name == "CompletedWithFailures"
    assert "3 candidates ranked, 1 failed: weights of model 'timm:resnet10t.c3_in1k' are not available" in state.message
    assert len(read_ranking(settings)) == 3
    assert list(read_run(settings)["failed"]) == ["timm:resnet10t.c3_in1k"]


def test_the_flow_fails_when_no_candidate_is_left(settings):
    state = run(settings, models=["timm:resnet10t.c3_in1k"])
    assert state.is_failed()
    with pytest.raises(ModelError, match=r"(?s)no candidate could be ranked:.*resnet10t"):
        state.result()


def test_errors_for_all_candidates_fail_the_flow_before_a_network_runs(settings, photos):
    (photos / "apple" / "3.png").write_bytes((photos / "apple" / "3.png").read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"(?s)apple/3.png.*on_bad_sample: skip"):
        run(settings).result()
    (photos / "cherry").rename(photos / "qzxqzx")
    with pytest.raises(LabelEncoderError, match="qzxqzx"):
        run(settings, on_bad_sample="skip").result()
    assert not Path(settings["store"], "features").exists()


def test_a_skipped_sample_is_recorded(settings, photos):
    (photos / "apple" / "3.png").write_bytes((photos / "apple" / "3.png").read_bytes()[:200])
    run(settings, on_bad_sample="skip")
    (skipped,) = read_run(settings)["dataset"]["skipped"]
    assert skipped["id"] == "apple/3.png"
    assert any("1 samples could not be read" in warning for warning in read_run(settings)["warnings"])


def test_truth_gives_an_evaluation(settings, tmp_path):
    names = [model.id for model in load_spec(settings).models]
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "model,value\n" + "".join(f'"{name}",{value}\n' for name, value in zip(names, (3, 2, 1), strict=True))
    )
    run(settings, truth=str(truth))
    evaluation = pl.read_csv(Path(settings["output"]) / "evaluation.csv")
    assert evaluation["estimator"].to_list() == ["emms", "logme"]
    assert evaluation["n_models"].to_list() == [3, 3]


def test_too_few_samples_give_a_warning_with_the_models(settings):
    run(settings)
    (warning,) = read_run(settings)["warnings"]
    assert "24 samples are few" in warning
    assert "timm:resnet10t (untrained, seed 0) (512)" in warning
    assert "Remedies" in warning


def test_results_are_stored_as_json_not_as_pickles(settings):
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

    run(settings)
    run(settings, models=[{"source": "timm", "name": "resnet5O", "pretrained": False}])  # errors are results too
    kept = [path for path in Path(str(PREFECT_LOCAL_STORAGE_PATH.value())).rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        json.loads(path.read_text())  # a pickle would be stored as base64, which is not JSON
