"""Image files that the cells of a Parquet column name: where they are, and that they are below one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from emms.errors import DatasetError

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_WINDOWS_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)


class NamedFiles:
    """Resolves the paths in a column of one Parquet file.

    Relative paths start at the folder `root`, and every path must lead to a file below it, with links followed.
    `tables` are the real paths of the dataset's Parquet files, which are not images.
    """

    def __init__(self, table: str, root: str, tables: frozenset[str]) -> None:
        self._table, self._root, self._tables = table, root, tables
        self._real_root = os.path.realpath(root)
        self._real_folders: dict[str, str] = {}

    def resolve(self, cells: Iterable[str | None]) -> list[str | None]:
        """Return the real path that each row's cell names, or None for a row that names none (null or empty).

        Raises DatasetError, with the row and the path, for what is outside of the root, a URL, a path of Windows or a
        Parquet file. A path that leads to nothing, or to a folder, is left to be a bad sample.
        """
        return [self._resolve(row, cell) if cell else None for row, cell in enumerate(cells)]

    def _resolve(self, row: int, cell: str) -> str:
        if _URL.match(cell):
            raise self._error(row, cell, "which is a URL; download the images, and name them by their paths")
        if "\0" in cell:
            raise self._error(row, cell, "which has a null character in it; correct the path")
        path = os.path.join(self._root, cell)
        if _WINDOWS_DRIVE.match(cell) or ("\\" in cell and os.sep == "/" and not os.path.lexists(path)):
            raise self._error(row, cell, "which is a path of Windows; write it relative to `root:`, with '/'")
        real = self._real(path)
        if real != self._real_root and not real.startswith(self._real_root.rstrip(os.sep) + os.sep):
            raise self._error(
                row,
                cell,
                f"which leads to {_quoted(real)}, outside of '{self._root}'; move the image there, or set `root:` to "
                f"a folder that holds all images",
            )
        if real in self._tables or real.lower().endswith(".parquet"):
            raise self._error(row, cell, "which is a Parquet file, not an image; correct the path")
        return real

    def _real(self, path: str) -> str:
        """Return `os.path.realpath(path)`, at one system call per file instead of one per folder above it."""
        folder, name = os.path.split(path)
        if name in {"", ".", ".."} or os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], name)

    def _error(self, row: int, cell: str, problem: str) -> DatasetError:
        return DatasetError(f"row {row} of '{self._table}' names {_quoted(cell)}, {problem}")


def _quoted(path: str) -> str:
    return f"'{path}'" if path.isprintable() else ascii(path)
