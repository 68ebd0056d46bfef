"""The specs of the paper's datasets: each is valid, reads files laid out as the README says, and covers its truth."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import polars as pl
import pytest
import torchvision.datasets

from emms.run.agreement import read_truth
from emms.run.dry_run import dry_run
from emms.run.estimate import estimate
from emms.spec import Spec, load_spec
from tests.paper_data import lay_out

PAPER = Path(__file__).parents[1] / "benchmarks" / "paper"
PUBLISHED = Path(__file__).parent / "data" / "published" / "emms_ground_truth.csv"
SPECS = sorted(path.name for path in PAPER.glob("*.yaml"))
TASKS = {
    "cnn": ("image-classification", 11, 11),
    "vit": ("image-classification", 11, 13),
    "captioning": ("image-captioning", 5, 9),
    "vqa": ("visual-question-answering", 3, 13),
    "referring": ("referring-expression", 3, 13),
    "textqa": ("text-question-answering", 2, 12),
}
"""By the end of a spec's name: the task, its number of datasets, and that of their candidates."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the specs and the data, from which a user runs `emms rank`."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PAPER, folder / "benchmarks" / "paper")
    lay_out(folder / "data")
    return folder


@pytest.fixture
def spec(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    monkeypatch.chdir(folder)
    return load_spec(f"benchmarks/paper/{name}")


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that were tried; none can be reached."""
    tried: list[object] = []

    def refuse(_: object, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: refuse(None, address))
    return tried


@pytest.fixture(autouse=True)
def _sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision accept small files of Flowers102."""
    md5 = {name: (file, None) for name, (file, _) in torchvision.datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_file_dict", md5)


def test_there_is_a_spec_for_each_dataset_of_the_paper():
    groups = [name.removesuffix(".yaml").rpartition("-")[2] for name in SPECS]
    assert {group: groups.count(group) for group in groups} == {group: n for group, (_, n, _) in TASKS.items()}
    assert len({name.rpartition("-")[0] for name in SPECS}) == 24


@pytest.mark.parametrize("name", SPECS)
def test_a_dry_run_lists_all_candidates_and_downloads_nothing(spec: Spec, name: str, folder: Path, connections):
    task, _, candidates = TASKS[name.removesuffix(".yaml").rpartition("-")[2]]
    assert (spec.task, len(spec.models)) == (task, candidates)
    before = set(folder.rglob("*"))
    plan = dry_run(spec)
    assert plan.failed == {}
    assert [step.of for step in plan.steps if step.stage == "scores"] == [
        f"{model.id} by {estimator.id}" for model in spec.models for estimator in spec.estimators
    ]
    assert "features" in estimate(plan.workspace, plan.to_extract)
    assert connections == []
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("name", [name for name in SPECS if (PAPER / "truth" / name.replace("yaml", "csv")).exists()])
def test_the_truth_is_that_published_for_all_candidates(spec: Spec, name: str):
    dataset, _, group = name.removesuffix(".yaml").rpartition("-")
    published = pl.read_csv(PUBLISHED).filter(
        dataset=dataset, model_group="encoder-decoder" if group == "captioning" else group
    )
    truth = read_truth(spec)
    assert truth.select("model", "value").sort("model").equals(published.select("model", "value").sort("model"))
    assert set(truth["model"]) == {model.id for model in spec.models}


def test_all_published_results_are_the_truth_of_a_spec():
    assert sum(pl.read_csv(path).height for path in PAPER.glob("truth/*.csv")) == pl.read_csv(PUBLISHED).height
    for path in PAPER.glob("truth/*.csv"):
        assert f"truth: ./benchmarks/paper/truth/{path.name}" in (PAPER / f"{path.stem}.yaml").read_text()


@pytest.mark.parametrize("name", SPECS)
def test_the_readme_says_where_the_files_are(spec: Spec, name: str):
    readme = (PAPER / "README.md").read_text()
    assert f"`{name.removesuffix('.yaml')}`" in readme
    for setting in ("path", "images"):
        if path := getattr(spec.dataset, setting, None):
            assert f"`./{path}`" in readme
