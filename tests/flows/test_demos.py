"""The demos of tasks, run by the command line with the real networks."""

import json

import polars as pl
import pytest

from flows.cli import main
from flows.demo import DEMO_TASKS, demo_spec
from tests.flows.test_demo import trained


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The store of all demos, which share pictures and thus features."""
    return str(tmp_path_factory.mktemp("demos") / "store")


@pytest.mark.slow
@pytest.mark.parametrize("task", DEMO_TASKS)
def test_no_untrained_copy_ranks_above_the_trained_network(task, store, tmp_path, monkeypatch, prefect_server):
    spec = demo_spec(store, tmp_path, "cpu", task)
    arguments = ["--task", task, "--store", store, "--output", str(tmp_path), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["emms", "demo", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    ranking = pl.read_csv(tmp_path / "ranking.csv")
    scores = dict(zip(ranking["model"], ranking["score"], strict=True))
    assert len(scores) == len(spec.models) >= 6
    for model in spec.models:
        untrained = [other.id for other in spec.models if not other.trained and trained(other) == model]
        for control in untrained:
            assert scores[control] < scores[model.id], json.dumps(scores, indent=1)
