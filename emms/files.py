"""Open files from untrusted sources: only regular files, so that reading never blocks on a pipe or a device."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # POSIX, Windows


class NotRegularFileError(OSError):
    """A path is not a regular file; `strerror` says what it is instead."""


def check_regular(path: str) -> None:
    """Raise NotRegularFileError if `path` is not a regular file or a link to one, OSError if it does not exist."""
    _check(os.stat(path).st_mode, path)


def open_regular(path: str) -> BinaryIO:
    """Open a regular file, or a link to one, for reading bytes, without blocking. Raises as `check_regular` does."""
    check_regular(path)  # first, since opening a device can have side effects, and opening a pipe waits for its writer
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor).st_mode, path)  # the path may have been replaced in between
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _check(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
        raise NotRegularFileError(errno.EINVAL, f"{kind}, not a regular file", path)
