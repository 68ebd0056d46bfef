"""Progress in a terminal, and stopping a run."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from emms.results.terminal import Terminal


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


def test_stop_interrupts_the_next_report(console):
    with Terminal(console) as terminal:
        terminal.stage("features")
        terminal.advance("timm:resnet18", 1, 2, 30.0)
        terminal.stop()
        assert "stopping …" in console.file.getvalue()
        with pytest.raises(KeyboardInterrupt):
            terminal.advance("timm:resnet18", 2, 2, 30.0)
        with pytest.raises(KeyboardInterrupt):
            terminal.stage("moments")


def test_a_warning_is_shown_once(console):
    terminal = Terminal(console)
    for _ in range(3):
        terminal.warn("few samples [a few]")
    assert console.file.getvalue() == "warning: few samples [a few]\n"


def test_without_a_terminal_lines_are_logged_regularly(console, monkeypatch):
    monkeypatch.setattr("emms.results.terminal.LOG_S", 0.02)
    with Terminal(console) as terminal:
        terminal.stage("features")
        terminal.advance("timm:resnet18", 480, 1797, 31.0)
        deadline = time.monotonic() + 10
        while "480 of 1,797" not in console.file.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    logged = console.file.getvalue()
    assert "features: timm:resnet18 480 of 1,797, for 0 s" in logged
    time.sleep(0.1)
    assert console.file.getvalue() == logged  # nothing more after the block


def test_stored_features_are_reported(console):
    terminal = Terminal(console)
    assert terminal.what_is_kept() == "no features had been computed yet"
    for number in range(5):
        terminal.kept(f"timm:{number}", 480, 1797)
    assert terminal.what_is_kept() == (
        "features kept: 480 of 1,797 for timm:0, 480 of 1,797 for timm:1, 480 of 1,797 for timm:2 and 2 more networks"
    )
