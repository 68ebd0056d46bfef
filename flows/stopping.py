"""Ctrl-C and SIGTERM: stop the run at its next batch; at the second signal or after a time limit, end the process."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, Timer
from types import FrameType

import typer

from emms.results.terminal import Terminal

GRACE = 15.0
"""Time limit in seconds for the current batch. Ending the process then is safe: artifacts are complete or absent."""


@contextmanager
def stoppable(terminal: Terminal) -> Iterator[None]:
    """Stop the work in this block on SIGINT and SIGTERM, and raise typer.Exit with the code 128 + signal.

    Both raise KeyboardInterrupt in the main thread, but the work is done by other threads, and while a flow runs,
    Prefect has its own handler, which first waits for them. Therefore the interpreter writes the number of each signal
    to a socket (`set_wakeup_fd`), independent of handlers; a thread reads it and stops the terminal, which raises
    KeyboardInterrupt at the next batch.
    """
    received: list[int] = []
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        while number := reader.recv(1):
            if number[0] in (signal.SIGINT, signal.SIGTERM) and not received:
                received.append(number[0])
                terminal.stop()
                guard = Timer(GRACE, _end_now, (terminal, number[0]))  # never cancelled, since the exit may hang, too
                guard.daemon = True
                guard.start()
            elif number[0] == signal.SIGINT:  # a second SIGTERM may be Prefect's, which forwards the first one
                _end_now(terminal, number[0])

    Thread(target=listen, name="signals", daemon=True).start()
    previous_handler = signal.signal(signal.SIGTERM, _interrupt)
    previous_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    except BaseException:  # after a signal, any exception is a consequence of stopping
        if not received:
            raise
        _print_what_is_kept(terminal)
        raise typer.Exit(128 + received[0]) from None
    finally:
        signal.set_wakeup_fd(previous_fd)
        signal.signal(signal.SIGTERM, previous_handler)
        writer.close()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_what_is_kept(terminal: Terminal) -> None:
    terminal.console.print(f"stopped; {terminal.what_is_kept()}; the same command continues from there", markup=False)


def _end_now(terminal: Terminal, number: int) -> None:
    try:
        terminal.console.show_cursor()
        _print_what_is_kept(terminal)
    finally:
        os._exit(128 + number)
