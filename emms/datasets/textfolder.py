"""A folder with one folder of text files per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from emms.datasets.annotated import Annotated, Row, list_rows
from emms.datasets.base import Listing
from emms.datasets.class_folders import class_folders, files_below, real_folders
from emms.datasets.class_names import ClassNames, name_folders
from emms.downstream.text_classification import TextClassification
from emms.errors import DatasetError, printable
from emms.files import open_regular
from emms.paths import UserPath

_EXTENSIONS = frozenset({".txt"})
_MOST = 16 << 20  # bytes


class TextFolder(Annotated):
    """Texts in class folders, at any depth; the name of the class folder is the name of the class.

    Each `.txt` file is a sample, whose id is its path relative to the dataset's folder. Hidden files are ignored, and
    other files are counted in a note.
    """

    format: Literal["textfolder"] = "textfolder"
    tasks: ClassVar = frozenset({TextClassification.name})
    path: UserPath = Field(description="A folder with one folder of .txt files per class.")
    class_names: ClassNames | None = Field(
        None,
        description="Readable names for class folders that are named by codes: a mapping from folder to name, a "
        "file with a `folder,name` per line, or one name per folder in sorted order.",
    )

    @property
    def source(self) -> str:
        """Path of the folder."""
        return os.path.abspath(self.path)

    def listing(self) -> Listing:
        """List the texts, sorted by class folder, then by name. Blank files are left out, and counted in a note.

        Raises DatasetError if the folder has another layout, or a file is not text in UTF-8.
        """
        folders, others = class_folders(self.source, _EXTENSIONS, "text files")
        names, notes = name_folders(folders, self.class_names)
        listing = list_rows(self._texts(folders, names, others), self.downstream, self.source)
        if others:
            notes.append(f"{len(others)} files without the extension .txt are not read ('{printable(others[0])}', …)")
        return Listing(listing.samples, listing.labels, [*notes, *listing.notes])

    def rows(self) -> Iterator[Row]:
        """Yield the texts, each labelled with the name of its class."""
        folders, others = class_folders(self.source, _EXTENSIONS, "text files")
        yield from self._texts(folders, name_folders(folders, self.class_names)[0], others)

    def _texts(self, folders: list[str], names: list[str], others: list[str]) -> Iterator[Row]:
        """Yield the texts, and add other files to `others`."""
        real = real_folders(self.source, folders)
        for folder, name in zip(folders, names, strict=True):
            files, not_read = files_below(self.source, folder, _EXTENSIONS, real, "text files")
            others += not_read
            if not files:
                where = printable(f"{self.source}/{folder}")
                raise DatasetError(f"class folder '{where}' has no .txt files; add some, or remove the folder")
            for file in files:
                yield Row(id=file, label=name, where=file, fields={"text": read_text(f"{self.source}/{file}")})


def read_text(path: str) -> str:
    """Return the text in a file in UTF-8, without a byte order mark.

    Raises DatasetError, with the file, if it cannot be read, is larger than 16 MB, or is not text in UTF-8.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_MOST + 1)
    except OSError as cause:
        raise DatasetError(f"'{printable(path)}' cannot be read: {cause.strerror}; restore or remove it") from cause
    if len(data) > _MOST:
        raise DatasetError(f"'{printable(path)}' is larger than {_MOST >> 20} MB; split it, or remove it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DatasetError(
            f"'{printable(path)}' is not text in UTF-8 ({cause.reason} at byte {cause.start}); convert it to UTF-8"
        ) from cause
