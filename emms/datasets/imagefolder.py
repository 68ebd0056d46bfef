"""A folder with one folder of images for each class, as torchvision, Keras and most download pages have them."""

from __future__ import annotations

import os
from typing import Any, Literal

import polars as pl
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.images import image_extensions, read_image
from emms.downstream.image_classification import ImageSample
from emms.errors import DatasetError
from emms.paths import UserPath

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


class ImageFolder(Dataset):
    """Images in class folders, at any depth below them; the folder's name is the name of the class.

    Hidden files and files without the extension of an image format are left alone. A sample's id is its path below
    the dataset's folder.
    """

    format: Literal["imagefolder"] = "imagefolder"
    path: UserPath = Field(description="The folder that holds one folder of images for each class.")

    def listing(self) -> Listing:
        """List the images, sorted by class, then by name.

        Raises DatasetError if the folder is missing or its layout is another: no or one class folder, images that lie
        in no class folder, a class folder without an image, `train` and `test` instead of classes.
        """
        root = os.path.abspath(self.path)
        labels = self._class_folders(root)
        ids, classes = [], []
        for index, label in enumerate(labels):
            images = _images(root, label)
            if not images:
                raise DatasetError(f"class folder '{root}/{label}' has no image; add some, or remove the folder")
            ids += images
            classes += [index] * len(images)
        samples = pl.DataFrame({"id": ids, "label": classes, "path": [f"{root}/{i}" for i in ids]})
        return Listing(samples.with_columns(position=pl.lit(0)).cast(LISTING), labels)

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Read one image. Raises BadSampleError."""
        return ImageSample(record["id"], read_image(record["path"]))

    def _class_folders(self, root: str) -> list[str]:
        if not os.path.isdir(root):
            what = "is a file" if os.path.exists(root) else "does not exist"
            raise DatasetError(f"dataset folder '{root}' {what}; give the folder that holds the class folders")
        with _scan(root) as entries:
            visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        loose = [e.name for e in visible if not _is_folder(e) and _is_image(e.name)]
        labels = [_text(root, e.name) for e in visible if _is_folder(e)]
        if loose:
            raise DatasetError(
                f"dataset folder '{root}' has {len(loose)} images directly in it ('{_text(root, loose[0])}', …); "
                f"put each into a folder named after its class"
            )
        if len(labels) < 2:
            found = f"only one class folder, '{labels[0]}'" if labels else "no class folders"
            raise DatasetError(
                f"dataset folder '{root}' has {found}; it takes one folder for each of two classes or more"
            )
        if {label.lower() for label in labels} <= _SPLITS:
            raise DatasetError(
                f"dataset folder '{root}' holds splits ({', '.join(labels)}), not classes; "
                f"give one of them, such as '{root}/{labels[0]}'"
            )
        return labels


def _images(root: str, label: str) -> list[str]:
    """Return the images below a class folder as sorted POSIX paths relative to `root`; links are followed."""
    found: list[str] = []
    pending, seen = [label], set()
    while pending:
        folder = pending.pop()
        if (real := os.path.realpath(f"{root}/{folder}")) in seen:  # a link to a folder above it, or beside it
            continue
        seen.add(real)
        with _scan(f"{root}/{folder}") as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    pending.append(f"{folder}/{_text(root, entry.name)}")
                elif _is_image(entry.name) and (entry.is_symlink() or entry.is_file()):  # a dead link is a bad sample
                    found.append(f"{folder}/{_text(root, entry.name)}")
        pending.sort(reverse=True)
    return sorted(found)


def _scan(folder: str) -> Any:
    try:
        return os.scandir(folder)
    except OSError as cause:
        raise DatasetError(f"folder '{folder}' cannot be listed: {cause.strerror}; mend its permissions") from cause


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether this is a folder or a link to one; a link to itself is none, where `is_dir` raises."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in image_extensions()


def _text(folder: str, name: str) -> str:
    """Return `name` if it is text; a name in an unknown encoding cannot be written to any table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"the name {os.fsencode(name)!r} in '{folder}' is not UTF-8; rename it") from None
    return name
