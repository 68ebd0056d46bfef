"""Connect to Prefect's server, or start a temporary one that ends with this process."""

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
"""Seconds that the user's server has to respond, and the temporary one to end."""


def connect() -> str:
    """Connect to the server in Prefect's settings, or else start a temporary one, and return its URL.

    Raises EMMSError if the server does not respond. Must run in a separate thread, since it blocks SIGINT in it.
    """
    url = PREFECT_API_URL.value()
    if not url:
        return _start()
    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: PATIENCE})
    try:
        with once, get_client(sync_client=True) as client:
            client.api_version()
    except Exception as cause:  # errors of the network, of HTTP, of JSON
        raise EMMSError(
            f"Prefect's server at PREFECT_API_URL={url} does not respond as expected: {cause or type(cause).__name__}; "
            f"start it with `prefect server start`, fix the URL (it ends in /api), or use a temporary server by "
            f"removing the URL from the environment and with `prefect config unset PREFECT_API_URL`"
        ) from cause
    return url


def _start() -> str:
    """Start a temporary server, which ends with this process, wait until it responds, and return its URL.

    Prefect would start the same server, but first import all of it into this process, which takes as long as the start.
    """
    if hasattr(signal, "pthread_sigmask"):
        # A terminal sends Ctrl-C to the server, too, which inherits this thread's blocked signals.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    location = ["--app-dir", str(Path(prefect.__file__).parents[1]), "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *location]
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
    while not _responds(url):
        if server.poll() is not None or time.monotonic() > deadline:
            ended = f"it ended with code {server.returncode}" if server.poll() is not None else f"not in {patience} s"
            raise EMMSError(
                f"Prefect's temporary server does not start: {ended}; -v shows why, often an unusable database in the "
                f"folder PREFECT_HOME; or start your own server with `prefect server start` and set PREFECT_API_URL"
            )
        time.sleep(0.1)
    return url


def _responds(url: str) -> bool:
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
    """End a process when this one ends, even by SIGKILL, with a shell that waits until its input is closed."""
    command = ["/bin/sh", "-c", 'read -r _; kill "$0"', str(process.pid)]
    shell = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
    # On a normal exit `_stop` has ended the server, and its process id may have been reused.
    atexit.register(shell.kill)
