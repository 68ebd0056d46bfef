"""The command in separate processes: killed and started again, and with a real Prefect server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.slow

SPEC = """\
dataset: {format: digits}
limit: 120
models:
  - {source: timm, name: mobilenetv3_small_050, pretrained: false}
  - {source: timm, name: test_vit, pretrained: false}
  - packaged:efficientnet-lite0
label_encoders: [packaged:glove-6b-50d]
estimators: [emms, logme]
"""


SMALL = """\
dataset: {format: digits}
limit: 50
models: [{source: timm, name: mobilenetv3_small_050, pretrained: false, layer: blocks.0}]
label_encoders: [packaged:glove-6b-50d]
"""


@pytest.fixture
def environment(tmp_path, prefect_home) -> dict[str, str]:
    """The environment of a user; for the first of these tests, Prefect has never run."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    own = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**own, "PREFECT_HOME": str(prefect_home)}


FREQUENT_REPORTS = """
import emms.models.extraction, emms.results.terminal
from flows.cli import main

emms.models.extraction.SAVE_S = emms.results.terminal.LOG_S = 0.5
main()
"""
"""The command, with features stored and progress logged twice per second, so that tests are fast."""


def start(environment: dict[str, str], folder: Path, store: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        FREQUENT_REPORTS,
        "rank",
        "spec.yaml",
        "--store",
        store,
        "--output",
        f"out-{store}",
    ]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=log, text=True, start_new_session=True)


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def scores(folder: Path, store: str) -> bytes:
    table = pl.read_parquet(folder / f"out-{store}" / "scores.parquet").sort("model", "estimator")
    return table["score"].to_numpy().tobytes()


def test_a_temporary_server_that_cannot_start_is_reported(environment, tmp_path):
    unusable = {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db"}
    command = [sys.executable, "-m", "flows.cli", "rank", "spec.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env={**environment, **unusable}, capture_output=True, text=True)
    complaint = " ".join(done.stderr.split())
    assert done.returncode == 2
    assert "temporary server does not start: it ended with code" in complaint
    assert "PREFECT_HOME" in complaint
    assert "prefect server start" in complaint
    assert "Traceback" not in complaint


def test_a_killed_run_continues_and_ends_with_the_same_scores(environment, tmp_path):
    undisturbed = start(environment, tmp_path, "whole")
    assert undisturbed.wait(timeout=400) == 0

    killed = start(environment, tmp_path, "killed")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "killed").glob("unfinished/**/manifest.json")):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stop(killed)
    manifests = (tmp_path / "killed").glob("unfinished/**/manifest.json")
    kept = {meta["model"]: meta["samples"] for meta in (json.loads(path.read_text())["meta"] for path in manifests)}
    assert kept

    again = start(environment, tmp_path, "killed")
    assert again.wait(timeout=400) == 0
    log = (tmp_path / "log").read_text()
    for model, samples in kept.items():
        first = re.search(rf"{re.escape(model)} (\d+) of 120", log)
        assert first is None or int(first[1]) >= samples
    run = json.loads((tmp_path / "out-killed" / "run.json").read_text())
    assert len(run["features"]["computed"]) == 3
    assert not run["label embeddings"]["computed"]
    assert scores(tmp_path, "killed") == scores(tmp_path, "whole")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_output_stream_is_reported_and_loses_no_results(environment, tmp_path, stream):
    (tmp_path / "spec.yaml").write_text(SMALL)
    command = [sys.executable, "-m", "flows.cli", "rank", "spec.yaml", "--output", "out"]
    with open("/dev/full", "w") as full:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, **given)
    other = done.stderr if stream == "stdout" else done.stdout
    assert done.returncode == 74, other
    assert pl.read_csv(tmp_path / "out" / "ranking.csv").height == 1
    assert "could not be printed: No space left on device" in " ".join(other.split())
    assert "Traceback" not in other
    assert "usage data" not in other  # Prefect's, which is off


def test_closed_streams_cost_no_result(environment, tmp_path):
    (tmp_path / "spec.yaml").write_text(SMALL)
    command = f"{sys.executable} -m flows.cli rank spec.yaml --output out >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "out" / "ranking.csv").height == 1


@pytest.fixture
def server(environment, tmp_path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = (tmp_path / "server.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    api = f"http://127.0.0.1:{port}/api"
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                with urllib.request.urlopen(f"{api}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.5)
        yield api
    finally:
        stop(process)


def ask(api: str, path: str) -> list[dict]:
    request = urllib.request.Request(f"{api}/{path}/filter", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_a_run_on_the_users_server_has_readable_names(environment, tmp_path, server):
    process = start({**environment, "PREFECT_API_URL": server}, tmp_path, "served")
    assert process.wait(timeout=400) == 0
    (flow_run,) = (run for run in ask(server, "flow_runs") if run["parameters"]["spec"]["store"] == "served")
    assert (flow_run["name"], flow_run["state_name"]) == ("rank digits", "Completed")
    assert flow_run["parameters"]["spec"]["limit"] == 120
    task_runs = ask(server, "task_runs")
    names = {run["name"] for run in task_runs}
    assert {
        "list samples of digits",
        "embed labels by packaged:glove-6b-50d",
        "resolve packaged:efficientnet-lite0",
    } <= names
    assert "score packaged:efficientnet-lite0 by emms" in names
    assert any(run["name"].startswith("extract ") and run["tags"] == ["emms-extract"] for run in task_runs)
    assert {artifact["key"] for artifact in ask(server, "artifacts")} >= {"emms-ranking", "emms-notes"}
