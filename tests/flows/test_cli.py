"""The command line: invalid input gives one clear message and exit code 2, before any network runs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from rich.console import Console

from emms.evaluation import METRICS, SCHEMA
from flows.cli import BAD_INPUT, UNFORESEEN, main
from flows.run_command import SOME_FAILED

DATA = Path(__file__).parent.parent / "data"
UNTRAINED = "{source: timm, name: resnet10t, pretrained: false}"


@pytest.fixture
def emms(monkeypatch, capfd, tmp_path):
    """Run the command in this process; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emms", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        printed = capfd.readouterr()
        return int(code or 0), printed.out, " ".join(printed.err.split())

    return run


@pytest.fixture
def spec(tmp_path, photos):
    """Write a spec with lines added or replaced; return its path."""

    def write(models: str = f"[{UNTRAINED}]", **lines: str) -> Path:
        keys = {
            "dataset": f"{{format: imagefolder, path: {photos}}}",
            "models": models,
            "label_encoders": "[packaged:glove-6b-50d]",
            **lines,
        }
        (tmp_path / "spec.yaml").write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
        return tmp_path / "spec.yaml"

    return write


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, out, err = result
    assert code == BAD_INPUT, (out, err)
    assert "Traceback" not in out + err
    for part in parts:
        assert part in err


@pytest.mark.usefixtures("prefect_server")
class TestDatasetsThatCannotBeRanked:
    """Errors of the flow after listing the dataset and before any network runs."""

    @pytest.fixture(autouse=True)
    def no_network_ran(self, tmp_path):
        yield
        assert not list((tmp_path / "artifacts").glob("features/*"))

    def test_a_missing_folder(self, emms, spec, tmp_path):
        dataset = f"{{format: imagefolder, path: {tmp_path}/nowhere}}"
        refused(emms("rank", spec(dataset=dataset)), "nowhere")

    def test_an_empty_folder(self, emms, tmp_path):
        (tmp_path / "empty").mkdir()
        refused(emms("rank", "--images", "empty", "--model", "packaged:efficientnet-lite0"), "empty")

    def test_a_class_without_an_image(self, emms, spec, photos):
        (photos / "durian").mkdir()
        refused(emms("rank", spec()), "photos/durian' has no image")

    def test_one_class_only(self, emms, spec, photos):
        for name in ("banana", "cherry"):
            (photos / name).rename(photos.parent / name)
        refused(emms("rank", spec()), "only one class folder, 'apple'")

    def test_a_truncated_image(self, emms, spec, photos):
        (photos / "apple" / "3.png").write_bytes((photos / "apple" / "3.png").read_bytes()[:150])
        refused(emms("rank", spec()), "apple/3.png", "on_bad_sample: skip")

    def test_an_image_of_200_million_pixels(self, emms, spec, photos):
        Image.new("1", (20_000, 10_000)).save(photos / "apple" / "huge.png")
        refused(emms("rank", spec()), "apple/huge.png", "pixels")

    def test_fewer_samples_than_classes(self, emms, spec):
        refused(emms("rank", spec(limit="2")), "limit 2 is below the number of classes, 3")

    def test_labels_that_do_not_match(self, emms, spec, tmp_path):
        idx = tmp_path / "idx"
        idx.mkdir()
        (idx / "train-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(12)
        )
        (idx / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1]))
        refused(emms("rank", spec(dataset=f"{{format: fashion-mnist, path: {idx}}}")), "3 images", "2 labels")

    def test_a_parquet_file_without_the_label_column(self, emms, spec, tmp_path):
        image = io.BytesIO()
        Image.new("RGB", (4, 4)).save(image, "png")
        pl.DataFrame({"image": [image.getvalue()], "lable": ["a"]}).write_parquet(tmp_path / "x.parquet")
        refused(emms("rank", spec(dataset=f"{{format: parquet, path: {tmp_path}/x.parquet}}")), "'label'", "lable")


def test_an_unknown_model(emms, spec):
    refused(emms("rank", spec("[timm:resnet5O, packaged:efficientnet-lite9]")), "2 faults", "'resnet50'", "lite0")


def test_an_unknown_key_and_a_wrong_type(emms, spec):
    refused(emms("rank", spec(limt="5", seed="zero")), "line 4, limt", "'limit'", "line 5, seed")


def test_a_checkpoint_of_another_architecture(emms, spec, tmp_path):
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    safetensors.torch.save_file(state, tmp_path / "mine.safetensors")
    models = "[{source: timm, name: resnet10t, checkpoint: ./mine.safetensors}]"
    refused(emms("rank", spec(models)), "mine.safetensors", "does not fit", "resnet10t")


def test_a_checkpoint_that_holds_a_pickle(emms, spec, tmp_path):
    torch.save({"weights": Path("a")}, tmp_path / "mine.pth")
    refused(
        emms("rank", spec("[{source: timm, name: resnet10t, checkpoint: ./mine.pth}]")), "mine.pth", "weights alone"
    )


def test_a_checkpoint_with_nan(emms, spec, tmp_path):
    state = timm.create_model("resnet10t").state_dict()
    state["conv1.0.weight"][0] = float("nan")
    torch.save(state, tmp_path / "mine.pth")
    refused(emms("rank", spec("[{source: timm, name: resnet10t, checkpoint: ./mine.pth}]")), "conv1.0.weight", "nan")


def test_a_store_and_an_output_that_cannot_be_written(emms, spec, tmp_path):
    (tmp_path / "file").write_text("")
    given = spec(store=f"{tmp_path}/file/store", output=f"{tmp_path}/file/output")
    refused(emms("rank", given), "2 faults", "--store", "--output")


def test_a_truth_without_any_of_the_models(emms, spec, tmp_path):
    (tmp_path / "truth.csv").write_text("model,value\nresnet10,0.9\n")
    refused(emms("rank", spec(truth="truth.csv")), "has none of the ranked models", "'resnet10'")


def test_a_limit_of_zero(emms, spec):
    refused(emms("rank", spec(), "--limit", 0), "limit", "greater than or equal to 2")


@pytest.mark.usefixtures("prefect_server")
def test_a_truth_with_too_few_models_gives_a_ranking_and_a_warning(emms, spec, tmp_path):
    (tmp_path / "truth.csv").write_text('model,value\n"timm:resnet10t (untrained, seed 0)",0.9\n')
    code, out, err = emms("rank", spec(truth="truth.csv"))
    assert code == 0, err
    assert "weighted Kendall tau with the truth: undefined" in out


@pytest.mark.usefixtures("prefect_server")
def test_a_truth_can_name_a_checkpoint_by_its_file_and_missing_models_are_reported(emms, spec, tmp_path):
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "mine.pth")
    mine = "{source: timm, name: mobilenetv3_small_050, checkpoint: ./mine.pth}"
    vit = "{source: timm, name: test_vit, pretrained: false}"
    aliased = "{source: timm, name: test_vit2, pretrained: false, alias: small ViT}"
    (tmp_path / "truth.csv").write_text(
        'model,value\n"timm:resnet10t (untrained, seed 0)",0.9\nmine.pth,0.8\nsmall ViT,0.7\ntest_vit,0.6\n'
    )
    code, out, err = emms("rank", spec(f"[{UNTRAINED}, {mine}, {vit}, {aliased}]", truth="truth.csv"))
    assert code == 0, err
    said = "over 3 of 4 candidates; not matched: 'test_vit' (did you mean 'timm:test_vit (untrained, seed 0)'?)"
    assert said in " ".join(out.split())
    assert said in err
    assert "small ViT" in out
    run = json.loads((tmp_path / "runs" / "latest" / "run.json").read_text())
    assert said in run["agreement"][0]
    assert any(said in warning for warning in run["warnings"])


def test_nothing_to_rank(emms):
    refused(emms("rank"), "nothing to rank")
    refused(emms("rank", "none.yaml"), "none.yaml", "cannot be read")
    refused(emms("models", "resnet5O*"), "no model matches")


@pytest.mark.usefixtures("prefect_server")
def test_a_run_from_a_spec_with_a_dry_run_before_and_after(emms, spec, tmp_path):
    models = f"[{UNTRAINED}, {{source: timm, name: resnet10t, pretrained: false, layer: layer2}}]"
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, _ = emms("rank", spec(models), "--dry-run")
    assert code == 0
    assert out.count("to compute") == 5
    assert "features will take about" in " ".join(out.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "spec.yaml"])
    code, out, err = emms("rank", spec(models))
    assert (code, "ranking.csv" in out) == (0, True), err
    assert "timm:resnet10t@layer2 (untrained, seed 0)" in out
    code, out, _ = emms("rank", spec(models), "--dry-run")
    # With all scores in the store, features are not needed.
    assert (out.count("in the store"), out.count("to compute"), "features" in out) == (3, 0, False)


@pytest.mark.usefixtures("prefect_server")
def test_a_model_with_unavailable_weights_is_reported_with_exit_code_1(emms, spec):
    code, out, err = emms("rank", spec(f"[{UNTRAINED}, timm:resnet10t.c3_in1k]"))
    assert code == SOME_FAILED
    assert "resnet10t (untrained, seed 0)" in out
    assert "not ranked: weights of model 'timm:resnet10t.c3_in1k' are not available" in err


def test_models_and_estimators_are_listed(emms):
    code, out, _ = emms("models", "*lite0*")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["model", "features", "M", "params", "G", "mult-adds"]
    assert ["packaged:efficientnet-lite0", "1,280", "4.7", "0.38"] in rows
    assert ["timm:tf_efficientnet_lite0.in1k", "1,280", "4.7", "0.38"] in rows
    code, out, err = emms("models")
    networks = {*timm.list_models(), *timm.list_pretrained()}
    assert (code, len(out.splitlines()) > len(networks), "names" in err) == (0, True, True)
    code, out, _ = emms("estimators")
    assert (code, "emms" in out, "logme" in out, "2308.06262" in out) == (0, True, True, True)
    assert emms("--version")[1].startswith("emms ")


def test_nothing_is_truncated_in_a_terminal_of_80_columns(emms, spec, monkeypatch):
    from emms.estimators import ESTIMATORS

    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = emms("estimators")
    assert "…" not in out
    for name, estimator in ESTIMATORS:
        assert f" {name} " in out
        assert estimator.paper.split()[-1] in out  # the arXiv id
    long = "{source: timm, name: vit_base_patch16_clip_quickgelu_224, pretrained: false, layer: blocks.11.norm1}"
    code, out, _ = emms("rank", spec(f"[{long}]"), "--dry-run")
    assert code == 0
    assert "…" not in out
    assert out.count("seed 0)") == 2


def test_an_empty_folder_name_is_not_the_current_folder(emms, spec):
    refused(emms("rank", "--images", "", "--model", "packaged:efficientnet-lite0"), "dataset.path: is empty")
    refused(emms("rank", spec(), "--output", ""), "output: is empty")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "http://nowhere.invalid/api"])
def test_a_prefect_server_that_does_not_respond_is_reported_before_any_network_runs(emms, spec, tmp_path, url):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        refused(emms("rank", spec()), f"PREFECT_API_URL={url}", "does not respond", "prefect config unset")
    assert not (tmp_path / "artifacts" / "features").exists()


def test_evaluate_on_the_published_scores(emms, tmp_path):
    table = DATA / "published" / "tllib_model_ranking_scores.csv"
    code, _, _ = emms("evaluate", "--scores", table, "--truth", table, "--output", tmp_path / "deep" / "evaluation.csv")
    assert code == 0
    assert pl.read_csv(tmp_path / "deep" / "evaluation.csv").height == 10
    refused(
        emms("evaluate", "--scores", table, "--truth", table, "--output", tmp_path), "it is a folder", "another file"
    )
    refused(emms("evaluate", "--scores", "none.csv", "--truth", table), "none.csv")


def test_an_evaluation_in_a_narrow_terminal_without_markup(emms, tmp_path, monkeypatch):
    monkeypatch.setattr("flows.cli.out", Console(width=80))
    scores, truth = tmp_path / "scores.csv", tmp_path / "truth.csv"
    names = [f"model-{i}" for i in range(4)]
    scores.write_text("dataset,model,score\n" + "".join(f"[red]a[/b],{m},{i}\n" for i, m in enumerate(names)))
    truth.write_text("model,value\n" + "".join(f"{m},{i}\n" for i, m in enumerate(names[1:])) + "more,1\n")
    code, out, _ = emms("evaluate", "--scores", scores, "--truth", truth)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "[red]a[/b" in out
    assert " 1.000 " in out
    assert "with --output also: " in out
    said = " ".join(out.split())
    assert "over 3 of 4 candidates; not in the truth: 'model-0'; only in the truth: 'more'" in said
    assert "rel@3, recall@3, rel@5, recall@5 are undefined with 3 models, where they are always 1" in said
    scores.write_text("model;score\na;1\n")
    refused(emms("evaluate", "--scores", scores, "--truth", truth), "separated by semicolons")


def test_an_evaluation_reports_its_coverage_and_raises_for_infinite_scores(emms, tmp_path):
    scores, truth, table = tmp_path / "scores.csv", tmp_path / "truth.csv", tmp_path / "evaluation.csv"
    truth.write_text("model,value\ntimm:a,1\ntimm:b,2\ntimm:c,3\ntest_vit,4\n")
    scores.write_text("model,score\ntimm:a,1\ntimm:b,2\ntimm:c,3\ntimm:test_vit,4\n")
    code, out, _ = emms("evaluate", "--scores", scores, "--truth", truth)
    assert code == 0
    assert "over 3 of 4 candidates; not matched: 'test_vit' (did you mean 'timm:test_vit'?)" in out
    truth.write_text("model,value\ntimm:a,1\n")
    code, out, _ = emms("evaluate", "--scores", scores, "--truth", truth, "--output", table)
    assert code == 0
    assert "over 1 of 4 candidates" in out
    assert "every metric is undefined with one model in common" in out
    assert pl.read_csv(table, schema=SCHEMA).select(*METRICS).null_count().row(0) == (1,) * len(METRICS)
    scores.write_text("model,score\ntimm:a,inf\n")
    refused(emms("evaluate", "--scores", scores, "--truth", truth), "model 'timm:a' has an infinite score", "leave the")


def test_a_closed_pipe_is_not_an_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "estimators"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()  # like `| head`, but earlier
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_an_unexpected_error_has_its_own_exit_code(emms, spec, monkeypatch):
    monkeypatch.setattr("emms.spec.load.read_yaml", lambda _: 1 / 0)
    code, _, err = emms("rank", spec())
    assert code == UNFORESEEN
    assert "ZeroDivisionError" in err
    assert "bug in emms" in err
    assert "Traceback" not in err


def test_commands_are_completed_in_a_shell():
    completion = {"_EMMS_COMPLETE": "complete_bash", "COMP_WORDS": "emms ra", "COMP_CWORD": "1"}
    command = [Path(sys.executable).with_name("emms")]
    done = subprocess.run(command, env=os.environ | completion, capture_output=True, text=True)
    assert done.stdout.split() == ["rank"], done.stderr
