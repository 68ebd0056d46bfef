"""Resolve the image paths in a Parquet column or in annotations, and check that they are below one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from emms.errors import DatasetError

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_WINDOWS_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)


class NamedFiles:
    """Resolve the paths in a column of one Parquet file, or in one file of annotations, `table`.

    Paths are relative to the folder `root`, and every path must lead to a file below it after following links.
    `tables` are the real paths of the dataset's Parquet files, which are not images. `setting` is the one that names
    the root.
    """

    def __init__(self, table: str, root: str, tables: frozenset[str], setting: str = "root") -> None:
        self._table, self._root, self._tables, self._setting = table, root, tables, setting
        self._real_root = os.path.realpath(root)
        self._real_folders: dict[str, str] = {}

    def resolve(self, cells: Iterable[str | None], places: Sequence[str] | None = None) -> list[str | None]:
        """Return the real path in each row's cell, or None for a null or empty cell.

        places: the place of each cell for messages, such as `line 12`; by default its row.

        Raises DatasetError, with the row and the path, if a path is outside the root, a URL, a Windows path or a
        Parquet file. A path that does not exist or is a folder is accepted; reading it raises BadSampleError.
        """
        return [
            self._resolve(f"row {row}" if places is None else places[row], cell) if cell else None
            for row, cell in enumerate(cells)
        ]

    def _resolve(self, place: str, cell: str) -> str:
        if _URL.match(cell):
            raise self._error(place, cell, "which is a URL; download the images, and give their paths")
        if "\0" in cell:
            raise self._error(place, cell, "which contains a null character; fix the path")
        path = os.path.join(self._root, cell)
        if _WINDOWS_DRIVE.match(cell) or ("\\" in cell and os.sep == "/" and not os.path.lexists(path)):
            raise self._error(
                place, cell, f"which is a Windows path; write it relative to `{self._setting}:`, with '/'"
            )
        real = self._real(path)
        if real != self._real_root and not real.startswith(self._real_root.rstrip(os.sep) + os.sep):
            raise self._error(
                place,
                cell,
                f"which leads to {_quoted(real)}, outside of '{self._root}'; move the image there, or set "
                f"`{self._setting}:` to a folder that contains all images",
            )
        if real in self._tables or real.lower().endswith(".parquet"):
            raise self._error(place, cell, "which is a Parquet file, not an image; fix the path")
        return real

    def _real(self, path: str) -> str:
        """Return `os.path.realpath(path)`, with one system call per file instead of one per parent folder."""
        folder, name = os.path.split(path)
        # With "..", `path` may not exist although its simplified form is a link.
        if name in {"", ".", ".."} or ".." in folder or os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], name)

    def _error(self, place: str, cell: str, problem: str) -> DatasetError:
        return DatasetError(f"{place} of '{self._table}' names {_quoted(cell)}, {problem}")


def _quoted(path: str) -> str:
    return f"'{path}'" if path.isprintable() else ascii(path)
