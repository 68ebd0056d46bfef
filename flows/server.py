"""Prefect's server: one's own must answer; the temporary one hears how the run ends, and never outlives it."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from contextlib import nullcontext
from typing import Any

from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from emms.errors import EMMSError

PATIENCE = 10.0
"""Seconds that a server of one's own has to answer."""


def connect() -> None:
    """Have Prefect's server at hand: the one that its settings name, or else a temporary one, started here.

    Raises EMMSError if the one that is named does not answer. Meant for a thread of its own: it changes which signals
    the thread receives.
    """
    url = PREFECT_API_URL.value()
    if not url:
        _Guarded()  # from now on the one server that all of Prefect's clients in this process share
        if hasattr(signal, "pthread_sigmask"):
            # A terminal sends Ctrl-C to the server too, which inherits what this thread holds off.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: PATIENCE})
    try:
        with once if url else nullcontext(), get_client(sync_client=True) as client:
            client.api_version()
    except Exception as cause:  # of the network, of HTTP, of JSON
        if not url:
            raise
        raise EMMSError(
            f"Prefect's server at PREFECT_API_URL={url} does not answer as one: {cause or type(cause).__name__}; start "
            f"it with `prefect server start`, correct the URL (it ends in /api), or remove it from the environment and "
            f"with `prefect config unset PREFECT_API_URL`: then a temporary server is used"
        ) from cause


class _Guarded(SubprocessASGIServer):
    """Prefect's temporary server, which it starts as a process and stops at exit, if there is an exit."""

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        process = super()._run_uvicorn_command()
        if os.name == "posix":
            _end_with_this_process(process)
        return process


def _end_with_this_process(process: subprocess.Popen[Any]) -> None:
    """Have a process end when this one does, by whatever signal: a shell waits until its input is closed."""
    command = ["/bin/sh", "-c", 'read -r _; kill "$0"', str(process.pid)]
    shell = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
    # Where there is an exit, Prefect has stopped the server, and its number may be another process's by then.
    atexit.register(shell.kill)
