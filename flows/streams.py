"""Standard output and error that may be full or closed: a run continues, and reports the error at its end."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


class Stream:
    """`sys.stdout` or `sys.stderr`, by `name`; silenced after the first write error."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.error: OSError | None = None
        """The first write error, except for a closed pipe."""

    def write(self, text: str) -> int:
        """Write text, unless a previous write has failed."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as cause:
                self._silence(cause)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless a previous write has failed."""
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
        # While bars are shown, rich replaces the stream by a proxy that prints through this one.
        return getattr(stream, "rich_proxied_file", stream)

    def _silence(self, cause: OSError) -> None:
        if not isinstance(cause, BrokenPipeError):  # a closed pipe, such as of `| head`, is not an error
            self.error = cause
        # So that flushing the rest of the buffer at exit does not fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
