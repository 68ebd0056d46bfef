"""Run the flow for `emms rank` and `emms demo`, and show its results."""

from __future__ import annotations

import logging
import os
import warnings
from contextvars import copy_context
from threading import Thread
from typing import Any

import typer
from rich.console import Console

from emms.results.ranking import Ranking
from emms.results.terminal import Terminal
from emms.spec import Spec
from flows.stopping import stoppable

SOME_FAILED = 1
"""Exit code if some candidates could not be ranked."""


def run(spec: Spec, out: Console, err: Console, verbose: bool) -> None:
    """Run the flow; show its progress, the table, and where the results are."""
    if not verbose:
        _be_quiet()
    terminal = Terminal(err)
    with stoppable(terminal):
        outcome = _run_flow(spec, terminal)
    from emms.run.finish import build_ranking

    _show(build_ranking(spec, outcome), spec, out, err)


def _run_flow(spec: Spec, terminal: Terminal) -> Any:
    url = _configured_url()
    what = f"Prefect's server at {url}" if url else "a temporary Prefect server (on its first start, half a minute)"
    terminal.console.print(f"checking the spec, and starting {what} …", style="dim", highlight=False, soft_wrap=True)
    connected: list[str | Exception] = []
    # A temporary server takes seconds to start, during which this thread does the other imports.
    server = Thread(target=copy_context().run, args=(_connect, connected), daemon=True)
    server.start()
    from emms.hardware import keep_freed_memory
    from emms.progress import listener
    from emms.run.checks import check
    from emms.run.references import Outcome

    keep_freed_memory()
    check(spec)
    from flows.rank import rank as flow

    server.join()
    if isinstance(connected[0], Exception):
        raise connected[0]
    from prefect.settings import PREFECT_API_URL, temporary_settings

    listener.set(terminal)
    with terminal, temporary_settings({PREFECT_API_URL: connected[0]}):
        state: Any = flow(spec, return_state=True)
        # Prefect returns it as JSON if it had to ask its server again how the run had ended.
        return Outcome.model_validate(state.result())


def _configured_url() -> str | None:
    return os.environ.get("PREFECT_API_URL")


def _connect(connected: list[str | Exception]) -> None:
    """Start or connect to Prefect's server; append its URL, or the exception, to `connected`."""
    try:
        from flows.server import connect

        connected.append(connect())
    except Exception as fault:
        connected.append(fault)


def _be_quiet() -> None:
    """Silence the logs and warnings of libraries, which is fine since this process only runs the command."""
    for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL"):
        os.environ.setdefault(name, "CRITICAL")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # its logger's level is set when it is imported
    for name in ("timm", "httpx", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def _show(ranking: Ranking, spec: Spec, out: Console, err: Console) -> None:
    out.print(ranking.table(out.width))
    for line in ranking.agreement:
        out.print(line, markup=False, highlight=False)
    for warning in ranking.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    for reason in ranking.failed.values():
        err.print(f"not ranked: {reason}", style="red", markup=False, highlight=False)
    evaluation = "" if ranking.evaluation is None else "evaluation.csv, "
    results = f"results    {spec.output}/ranking.csv, scores.parquet, {evaluation}run.json"
    for line in (results, f"artifacts  {spec.store}"):
        out.print(line, markup=False, highlight=False)
    if ranking.failed:
        raise typer.Exit(SOME_FAILED)
