"""What a terminal shows, and how it stops a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from emms.results.terminal import Terminal


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


def test_asked_to_stop_it_says_so_at_once_and_interrupts_the_work_that_reports_next(console):
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
