"""A folder with one folder of images per class, the layout that torchvision and Keras use."""

from __future__ import annotations

import os
from typing import Any, Literal

import polars as pl
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.class_names import ClassNames, name_folders
from emms.datasets.image_formats import DOCUMENT_EXTENSIONS, KNOWN_EXTENSIONS, image_extensions
from emms.datasets.images import read_image
from emms.datasets.unread import UnreadImages, extension
from emms.downstream.image_classification import ImageSample
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


class ImageFolder(Dataset):
    """Images in class folders, at any depth; the name of the class folder is the name of the class.

    Hidden files are ignored. So are files without the extension of an image format that is read, but the listing's
    notes count those that look like images. A sample's id is its path relative to the dataset's folder.
    """

    format: Literal["imagefolder"] = "imagefolder"
    path: UserPath = Field(description="A folder with one folder of images per class.")
    class_names: ClassNames | None = Field(
        None,
        description="Readable names for class folders that are named by codes: a mapping from folder to name, a "
        "file with a `folder,name` per line, or one name per folder in sorted order.",
    )

    def listing(self) -> Listing:
        """List the images, sorted by class folder, then by name.

        Raises DatasetError if the folder is missing or has another layout (fewer than two class folders, images outside
        of class folders, a class folder without images, `train` and `test` instead of classes, a link from one class
        to another), or if `class_names` does not name every class.
        """
        root = os.path.abspath(self.path)
        extensions = image_extensions()
        folders, not_listed = _class_folders(root, extensions)
        real = [os.path.realpath(root), *(os.path.realpath(f"{root}/{folder}") for folder in folders)]
        ids, classes = [], []
        for index, folder in enumerate(folders):
            images, others = _files(root, folder, extensions, real)
            if not images:
                raise _no_image(root, folder, others)
            ids += images
            classes += [index] * len(images)
            not_listed += others
        unread = UnreadImages(root, not_listed)
        names, notes = name_folders(folders, self.class_names)
        samples = pl.DataFrame({"id": ids, "label": classes, "path": [f"{root}/{i}" for i in ids]})
        return Listing(
            samples.with_columns(position=pl.lit(0)).cast(LISTING),
            names,
            notes + ([unread.note()] if unread else []),
        )

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Load one image. Raises BadSampleError."""
        return ImageSample(record["id"], read_image(record["path"]))

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file: only the format."""
        return {"format": self.format}


def _class_folders(root: str, extensions: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the sorted names of the class folders, and of images next to them that are not read, except documents."""
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise DatasetError(f"dataset folder '{root}' {what}; give the folder that contains the class folders")
    entries = sorted(_scan(root), key=lambda e: e.name)
    folders = [_text(root, e.name) for e in entries if _is_folder(e)]
    files = [e.name for e in entries if not _is_folder(e)]
    loose = [_text(root, name) for name in files if extension(name) in extensions]
    if loose:
        raise DatasetError(
            f"dataset folder '{root}' has {len(loose)} images directly in it ('{printable(loose[0])}', …); "
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
    return folders, [name for name in files if extension(name) in KNOWN_EXTENSIONS - DOCUMENT_EXTENSIONS]


def _files(
    root: str, class_folder: str, extensions: frozenset[str], reserved: list[str]
) -> tuple[list[str], list[str]]:
    """Return the images below a class folder, and all other files, as sorted POSIX paths relative to `root`.

    Links are followed. Everything with the extension of an image is listed, even a dead link or a named pipe; the error
    is raised when it is read. Raises DatasetError for a link to a folder that contains, or is in, one of the `reserved`
    folders (real paths of the dataset and of all classes): it would give this class the images of others.
    """
    own = os.path.realpath(f"{root}/{class_folder}")
    images: list[str] = []
    others: list[str] = []
    pending, seen = [class_folder], set()
    while pending:
        folder = pending.pop()
        if (real := os.path.realpath(f"{root}/{folder}")) in seen:  # a link to a folder that was already listed
            continue
        seen.add(real)
        if real != f"{reserved[0]}/{folder}":  # there is a link in the path
            _check_link(f"{root}/{folder}", real, own, reserved)
        for entry in _scan(f"{root}/{folder}"):
            if _is_folder(entry):
                pending.append(f"{folder}/{_text(root, entry.name)}")
            elif extension(entry.name) in extensions:
                images.append(f"{folder}/{_text(root, entry.name)}")
            else:
                others.append(f"{folder}/{entry.name}")
        pending.sort(reverse=True)
    return sorted(images), sorted(others)


def _check_link(path: str, real: str, own: str, reserved: list[str]) -> None:
    dataset, *classes = reserved
    classes.remove(own)  # once: another class folder may be a link to the same folder
    inside = next((folder for folder in classes if f"{real}/".startswith(f"{folder}/")), None)
    around = next((folder for folder in [dataset, *classes] if f"{folder}/".startswith(f"{real}/")), None)
    if inside or around:
        raise DatasetError(
            f"'{printable(path)}' is a link to '{printable(real)}', which has images of other classes; remove the "
            f"link: its images would get the label of the class folder that it is in"
        )


def _no_image(root: str, folder: str, others: list[str]) -> DatasetError:
    unread, name = UnreadImages(root, others), printable(f"{root}/{folder}")
    if unread:
        return DatasetError(
            f"class folder '{name}' has only images that are not read: {unread.groups()}; {unread.remedy()}"
        )
    return DatasetError(f"class folder '{name}' has no images; add some, or remove the folder")


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
