"""Standard output and error that may be full or closed: a run goes on, and says at its end what it could not print."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


class Stream:
    """`sys.stdout` or `sys.stderr`, whichever `name` says; the first failure to write silences it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.error: OSError | None = None
        """What went wrong when it was written to."""

    def write(self, text: str) -> int:
        """Write text, unless writing has failed before."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as cause:
                self._silence(cause)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, unless writing has failed before."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as cause:
                self._silence(cause)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def _stream(self) -> IO[str]:
        stream = getattr(sys, self._name)
        # While bars are shown, rich puts something in its place that prints by way of this.
        return getattr(stream, "rich_proxied_file", stream)

    def _silence(self, cause: OSError) -> None:
        if not isinstance(cause, BrokenPipeError):  # which is no failure: `| head` has read all it wants
            self.error = cause
        # What is left in the stream's buffer must not fail once more when the interpreter ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
