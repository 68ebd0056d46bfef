"""Folders with one folder of files per class."""

from __future__ import annotations

import os

from emms.datasets.unread import extension
from emms.errors import DatasetError, printable

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def class_folders(root: str, extensions: frozenset[str], kind: str) -> tuple[list[str], list[str]]:
    """Return the sorted names of the class folders, and of the files next to them.

    extensions: those of the samples, in lower case. kind: what the samples are called in messages, such as `images`.

    Raises DatasetError if there are fewer than two class folders, samples next to them, or splits instead of classes.
    """
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise DatasetError(f"dataset folder '{root}' {what}; give the folder that contains the class folders")
    entries = sorted(_scan(root), key=lambda e: e.name)
    folders = [_text(root, e.name) for e in entries if _is_folder(e)]
    files = [e.name for e in entries if not _is_folder(e)]
    loose = [_text(root, name) for name in files if extension(name) in extensions]
    if loose:
        raise DatasetError(
            f"dataset folder '{root}' has {len(loose)} {kind} directly in it ('{printable(loose[0])}', …); "
            f"put each into a folder named after its class"
        )
    if len(folders) < 2:
        problem = f"only one class folder, '{printable(folders[0])}'" if folders else "no class folders"
        raise DatasetError(f"dataset folder '{root}' has {problem}; it needs two or more, one per class")
    if {folder.lower() for folder in folders} <= _SPLITS:
        raise DatasetError(
            f"dataset folder '{root}' contains splits ({', '.join(folders)}), not classes; "
            f"give one of them, such as '{root}/{folders[0]}'"
        )
    return folders, files


def real_folders(root: str, folders: list[str]) -> list[str]:
    """Return the real paths of the dataset's folder and of its class folders."""
    return [os.path.realpath(root), *(os.path.realpath(f"{root}/{folder}") for folder in folders)]


def files_below(
    root: str, class_folder: str, extensions: frozenset[str], reserved: list[str], kind: str
) -> tuple[list[str], list[str]]:
    """Return the samples below a class folder, and all other files, as sorted POSIX paths relative to `root`.

    extensions, kind: as for `class_folders`. reserved: what `real_folders` returns.
    Links are followed. Everything with the extension of a sample is listed, even a dead link or a named pipe; the error
    is raised when it is read. Raises DatasetError for a link to a folder that contains, or is in, one of the `reserved`
    folders: it would give this class the samples of others.
    """
    own = os.path.realpath(f"{root}/{class_folder}")
    found: list[str] = []
    others: list[str] = []
    pending, seen = [class_folder], set()
    while pending:
        folder = pending.pop()
        if (real := os.path.realpath(f"{root}/{folder}")) in seen:  # a link to a folder that was already listed
            continue
        seen.add(real)
        if real != f"{reserved[0]}/{folder}":  # there is a link in the path
            _check_link(f"{root}/{folder}", real, own, reserved, kind)
        for entry in _scan(f"{root}/{folder}"):
            if _is_folder(entry):
                pending.append(f"{folder}/{_text(root, entry.name)}")
            elif extension(entry.name) in extensions:
                found.append(f"{folder}/{_text(root, entry.name)}")
            else:
                others.append(f"{folder}/{entry.name}")
        pending.sort(reverse=True)
    return sorted(found), sorted(others)


def _check_link(path: str, real: str, own: str, reserved: list[str], kind: str) -> None:
    dataset, *classes = reserved
    classes.remove(own)  # once: another class folder may be a link to the same folder
    inside = next((folder for folder in classes if f"{real}/".startswith(f"{folder}/")), None)
    around = next((folder for folder in [dataset, *classes] if f"{folder}/".startswith(f"{real}/")), None)
    if inside or around:
        raise DatasetError(
            f"'{printable(path)}' is a link to '{printable(real)}', which has {kind} of other classes; remove the "
            f"link: its images would get the label of the class folder that it is in"
        )


def _scan(folder: str) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden. Raises DatasetError if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as cause:
        raise DatasetError(f"folder '{folder}' cannot be listed: {cause.strerror}; fix its permissions") from cause


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a folder or a link to one; `is_dir` raises for a link to itself, `isdir` does not."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _text(folder: str, name: str) -> str:
    """Return `name`. Raises DatasetError if it is not UTF-8 and therefore cannot be written to a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"the name {os.fsencode(name)!r} in '{folder}' is not UTF-8; rename it") from None
    return name
