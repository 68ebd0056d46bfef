"""Ctrl-C and SIGTERM stop a run at its next batch, and no process is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Extraction takes a minute here: long enough to be interrupted in the middle of a pass.
SPEC = """\
dataset: {format: digits}
models: [packaged:efficientnet-lite0, packaged:efficientnet-lite1, packaged:efficientnet-lite2]
label_encoders: [packaged:glove-6b-50d]
"""
SLOW_REPORTS = """
import emms.results.terminal, flows.stopping
from flows.cli import main

emms.results.terminal.LOG_S, flows.stopping.GRACE = 1.0, 100.0
main()
"""
"""The command, with progress logged every second, and a longer time limit for a batch on a busy machine."""
TO_A_BATCH_S = 120.0
"""Seconds until a run has stopped; a pass takes longer. Most of it is that Prefect's server ends, on a busy machine."""


class Command:
    """`emms rank` in its own session, as started by a terminal."""

    def __init__(self, folder: Path, home: Path) -> None:
        (folder / "spec.yaml").write_text(SPEC)
        self._folder, self._home = folder, home
        self.start()

    def start(self) -> None:
        """Start the command, possibly again."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        self.heard = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", SLOW_REPORTS, "rank", "spec.yaml"],
            cwd=self._folder,
            env={**own, "PREFECT_HOME": str(self._home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def read_until(self, text: str) -> None:
        """Wait for a text on standard error."""
        assert self.process.stderr is not None
        while text not in self.heard:
            line = self.process.stderr.readline()
            assert line, f"it ended without saying '{text}':\n{self.heard}"
            self.heard += line

    def end(self, timeout: float) -> int:
        """Wait for the end of the process and return its exit code."""
        assert self.process.stderr is not None
        code = self.process.wait(timeout)
        self.heard += self.process.stderr.read()
        return code

    def is_gone(self) -> bool:
        """Return whether no process of its session is left, including the temporary server."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@pytest.fixture
def command(tmp_path, prefect_home):
    command = Command(tmp_path, prefect_home)
    yield command
    if not command.is_gone():
        os.killpg(command.process.pid, signal.SIGKILL)


def wait_until_gone(command: Command) -> None:
    deadline = time.monotonic() + 60
    while not command.is_gone():
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_at_its_next_batch_and_keeps_features(command, number):
    command.read_until(" of 1,797")
    if number == signal.SIGINT:
        os.killpg(command.process.pid, number)  # as a terminal does, also to the server
    else:
        command.process.send_signal(number)
    started = time.monotonic()
    command.read_until("stopping")
    assert time.monotonic() - started < 5
    assert command.end(timeout=TO_A_BATCH_S) == 128 + number
    said = " ".join(command.heard.split())
    kept = re.search(
        r"stopped; features kept: ([\d,]+) of 1,797 for packaged:efficientnet-lite0, .* continues from there", said
    )
    assert kept, said
    assert "Traceback" not in said
    wait_until_gone(command)

    command.start()
    command.read_until(" of 1,797")
    done = re.search(r"packaged:efficientnet-lite0 ([\d,]+) of 1,797", command.heard)
    assert int(done[1].replace(",", "")) >= int(kept[1].replace(",", "")) > 0


def test_a_second_signal_ends_the_process_immediately(command):
    command.read_until("features")
    command.process.send_signal(signal.SIGINT)
    command.read_until("stopping")
    command.process.send_signal(signal.SIGINT)
    assert command.end(timeout=5) == 130
    wait_until_gone(command)


def test_a_killed_command_leaves_no_server(command):
    command.read_until("dataset")
    command.process.kill()
    command.process.wait()
    wait_until_gone(command)
