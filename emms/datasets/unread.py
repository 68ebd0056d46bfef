"""Count files that look like images but are not read, by extension."""

from __future__ import annotations

import os
from collections.abc import Iterable

from emms.datasets.image_formats import (
    HEIC_EXTENSIONS,
    HEIC_REMEDY,
    KNOWN_EXTENSIONS,
    SIGNATURE_LENGTH,
    recognise,
)
from emms.files import open_regular

_OPENED_PER_EXTENSION = 100
_OPENED = 1000  # in total: on a network drive each may take a millisecond
_SHOWN = 5


def extension(name: str) -> str:
    """Return a file name's extension in lower case with its dot, or "" if it has none."""
    return os.path.splitext(name)[1].lower()


class UnreadImages:
    """Files that look like images, by their extension or their first bytes, among those that are not listed.

    `files` are paths relative to the folder `root`, without those of formats that are read. Of the files with an
    unknown extension, at most 100 per extension and 1,000 in total are opened.
    """

    def __init__(self, root: str, files: Iterable[str]) -> None:
        by_extension: dict[str, list[str]] = {}
        for file in files:
            by_extension.setdefault(extension(file), []).append(file)
        self._unread: dict[str, list[str]] = {}
        self._counted = True  # False if some files were not opened
        budget = _OPENED
        for ending, group in sorted(by_extension.items()):
            if ending in KNOWN_EXTENSIONS:
                self._unread[ending] = group
                continue
            opened = group[: min(_OPENED_PER_EXTENSION, budget)]
            budget -= len(opened)
            self._counted &= len(opened) == len(group)
            if images := [file for file in opened if _starts_like_an_image(f"{root}/{file}")]:
                self._unread[ending] = images

    def __bool__(self) -> bool:
        return bool(self._unread)

    def note(self) -> str:
        """Return a warning with the number and the first file of each extension, and the remedy."""
        total = sum(map(len, self._unread.values()))
        what = "file that looks like an image is" if total == 1 else "files that look like images are"
        at_least = "" if self._counted else "at least "
        return f"{at_least}{total} {what} not read: {self.groups()}; {self.remedy()}"

    def groups(self) -> str:
        """Return the number and the first file of each extension, as text."""
        groups = sorted(self._unread.items(), key=lambda item: (-len(item[1]), item[0]))
        shown = [f"{len(files)} {_printable(e)} (first: {_printable(files[0])})" for e, files in groups[:_SHOWN]]
        more = len(groups) - _SHOWN
        return ", ".join(shown) + (f" and {more} more extensions" if more > 0 else "")

    def remedy(self) -> str:
        """Return the remedy."""
        heic = self._unread.keys() & HEIC_EXTENSIONS
        other_formats = self._unread.keys() & KNOWN_EXTENSIONS - HEIC_EXTENSIONS
        misnamed = self._unread.keys() - KNOWN_EXTENSIONS
        remedies = [
            *([f"{HEIC_REMEDY} or convert them"] if heic else []),
            *(["convert them to PNG or JPEG"] if other_formats and not heic else []),
            *(["convert the others to PNG or JPEG"] if other_formats and heic else []),
            *(["rename those whose extension is not that of their format"] if misnamed else []),
        ]
        return ", ".join(remedies)


def _starts_like_an_image(path: str) -> bool:
    try:
        with open_regular(path) as file:
            return recognise(file.read(SIGNATURE_LENGTH)) is not None
    except OSError:
        return False


def _printable(text: str) -> str:
    """Return `text` with control characters escaped, such as terminal escape sequences in a file name."""
    if not text:
        return "without an extension"
    return text if text.isprintable() else ascii(text)
