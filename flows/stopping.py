"""Ctrl-C and SIGTERM: the run stops at its next batch; asked twice, or if that takes long, the process ends at once."""

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
"""Seconds that work has to come to a batch's end. Cut off, it loses no more: an artifact is whole or absent."""


@contextmanager
def stoppable(terminal: Terminal) -> Iterator[None]:
    """Have SIGINT and SIGTERM stop what runs within, and end it as typer.Exit with the code 128 + signal.

    Both raise KeyboardInterrupt in the main thread, but the work is done by others, and while a flow runs Prefect has a
    handler of its own that first waits for them. So the interpreter is asked to write each signal's number to a socket
    as it comes in, whoever handles it; a thread reads it there and tells the terminal, which is asked at each batch.
    """
    asked: list[int] = []
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        while number := reader.recv(1):
            if number[0] in (signal.SIGINT, signal.SIGTERM) and not asked:
                asked.append(number[0])
                terminal.stop()
                guard = Timer(GRACE, _end_now, (terminal, number[0]))  # not cancelled: it guards the exit as well
                guard.daemon = True
                guard.start()
            elif number[0] == signal.SIGINT:  # a second SIGTERM is Prefect's, which passes on what it has received
                _end_now(terminal, number[0])

    Thread(target=listen, name="signals", daemon=True).start()
    earlier = signal.signal(signal.SIGTERM, _interrupt)
    earlier_writer = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    except BaseException:  # once asked to stop, whatever comes up comes of that
        if not asked:
            raise
        _say_what_is_kept(terminal)
        raise typer.Exit(128 + asked[0]) from None
    finally:
        signal.set_wakeup_fd(earlier_writer)
        signal.signal(signal.SIGTERM, earlier)
        writer.close()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say_what_is_kept(terminal: Terminal) -> None:
    terminal.console.print(f"stopped; {terminal.what_is_kept()}; the same command goes on from there", markup=False)


def _end_now(terminal: Terminal, number: int) -> None:
    try:
        terminal.console.show_cursor()
        _say_what_is_kept(terminal)
    finally:
        os._exit(128 + number)
