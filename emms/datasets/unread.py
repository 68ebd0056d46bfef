"""Files that look like images but are not read: counted by extension, and named."""

from __future__ import annotations

import os
from collections.abc import Iterable

from emms.datasets.files import open_regular
from emms.datasets.image_formats import (
    HEIC_EXTENSIONS,
    HEIC_REMEDY,
    KNOWN_EXTENSIONS,
    SIGNATURE_LENGTH,
    recognise,
)

_OPENED_PER_EXTENSION = 100
_OPENED = 1000  # in all: on a network drive each may take a millisecond
_SHOWN = 5


def extension(name: str) -> str:
    """Return a file name's extension in lower case with its dot, or "" if it has none."""
    return os.path.splitext(name)[1].lower()


class UnreadImages:
    """Which of the files that were passed over look like images: by their extension, else by how they begin.

    `files` are paths below the folder `root`; those of formats that are read are not among them. Of the files whose
    extension says nothing, at most 100 per extension and 1,000 in all are opened.
    """

    def __init__(self, root: str, files: Iterable[str]) -> None:
        by_extension: dict[str, list[str]] = {}
        for file in files:
            by_extension.setdefault(extension(file), []).append(file)
        self._found: dict[str, list[str]] = {}
        self._counted = True  # False if files remain that were not opened
        budget = _OPENED
        for ending, group in sorted(by_extension.items()):
            if ending in KNOWN_EXTENSIONS:
                self._found[ending] = group
                continue
            opened = group[: min(_OPENED_PER_EXTENSION, budget)]
            budget -= len(opened)
            self._counted &= len(opened) == len(group)
            if images := [file for file in opened if _begins_like_an_image(f"{root}/{file}")]:
                self._found[ending] = images

    def __bool__(self) -> bool:
        return bool(self._found)

    def note(self) -> str:
        """Return a sentence that says how many there are of each extension, which is the first, and what to do."""
        total = sum(map(len, self._found.values()))
        what = "file that looks like an image is" if total == 1 else "files that look like images are"
        at_least = "" if self._counted else "at least "
        return f"{at_least}{total} {what} not read: {self.groups()}; {self.remedy()}"

    def groups(self) -> str:
        """Return how many there are of each extension, and which is the first."""
        groups = sorted(self._found.items(), key=lambda item: (-len(item[1]), item[0]))
        shown = [f"{len(files)} {_printable(e)} (first: {_printable(files[0])})" for e, files in groups[:_SHOWN]]
        more = len(groups) - _SHOWN
        return ", ".join(shown) + (f" and {more} more extensions" if more > 0 else "")

    def remedy(self) -> str:
        """Return what to do about them."""
        heic = self._found.keys() & HEIC_EXTENSIONS
        other_formats = self._found.keys() & KNOWN_EXTENSIONS - HEIC_EXTENSIONS
        misnamed = self._found.keys() - KNOWN_EXTENSIONS
        remedies = [
            *([f"{HEIC_REMEDY} or convert them"] if heic else []),
            *(["convert them to PNG or JPEG"] if other_formats and not heic else []),
            *(["convert the others to PNG or JPEG"] if other_formats and heic else []),
            *(["rename those whose extension does not say their format"] if misnamed else []),
        ]
        return ", ".join(remedies)


def _begins_like_an_image(path: str) -> bool:
    try:
        with open_regular(path) as file:
            return recognise(file.read(SIGNATURE_LENGTH)) is not None
    except OSError:
        return False


def _printable(text: str) -> str:
    """Return `text` without what a terminal would act upon, such as escape sequences in a file name."""
    if not text:
        return "without an extension"
    return text if text.isprintable() else ascii(text)
