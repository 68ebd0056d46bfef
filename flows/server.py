"""Prefect's server: one's own must answer; the temporary one hears how the run ends, and never outlives it."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)

from emms.errors import EMMSError

PATIENCE = 10.0
"""Seconds that a server of one's own has to answer, and a temporary one to end."""


def connect() -> str:
    """Have Prefect's server at hand, that of its settings or else a temporary one, started here; return its URL.

    Raises EMMSError if the server does not answer. Meant for a thread of its own: it changes which signals the thread
    receives.
    """
    url = PREFECT_API_URL.value()
    if not url:
        return _start()
    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: PATIENCE})
    try:
        with once, get_client(sync_client=True) as client:
            client.api_version()
    except Exception as cause:  # of the network, of HTTP, of JSON
        raise EMMSError(
            f"Prefect's server at PREFECT_API_URL={url} does not answer as one: {cause or type(cause).__name__}; start "
            f"it with `prefect server start`, correct the URL (it ends in /api), or remove it from the environment and "
            f"with `prefect config unset PREFECT_API_URL`: then a temporary server is used"
        ) from cause
    return url


def _start() -> str:
    """Start a temporary server, which ends with this process, and wait until it answers; return its URL.

    It is the one that Prefect would start by itself, but Prefect would first import all of it into this process, too,
    which takes as long as the start.
    """
    if hasattr(signal, "pthread_sigmask"):
        # A terminal sends Ctrl-C to the server too, which inherits what this thread holds off.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--app-dir", str(Path(prefect.__file__).parents[1]), "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *where]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    temporary = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    server = subprocess.Popen(  # noqa: S603
        [*command, "--log-level", "error", "--lifespan", "on"], env={**os.environ, **temporary, **settings}
    )
    atexit.register(_stop, server)
    if os.name == "posix":
        _end_with_this_process(server)
    url = f"http://127.0.0.1:{port}/api"
    patience = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    deadline = time.monotonic() + patience
    while not _answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            ended = f"it ended with code {server.returncode}" if server.poll() is not None else f"not in {patience} s"
            raise EMMSError(
                f"Prefect's temporary server does not start: {ended}; -v shows why, and often its database, in the "
                f"folder PREFECT_HOME, cannot be used; or start one of your own with `prefect server start` and set "
                f"PREFECT_API_URL"
            )
        time.sleep(0.1)
    return url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _end_with_this_process(process: subprocess.Popen[bytes]) -> None:
    """Have a process end when this one does, by whatever signal: a shell waits until its input is closed."""
    command = ["/bin/sh", "-c", 'read -r _; kill "$0"', str(process.pid)]
    shell = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
    # Where there is an exit, the server is stopped there, and its number may be another process's by then.
    atexit.register(shell.kill)
