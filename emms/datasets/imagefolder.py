"""A folder with one folder of images per class, the layout that torchvision and Keras use."""

from __future__ import annotations

import os
from typing import Any, Literal

import polars as pl
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.class_folders import class_folders, files_below, real_folders
from emms.datasets.class_names import ClassNames, name_folders
from emms.datasets.image_formats import DOCUMENT_EXTENSIONS, KNOWN_EXTENSIONS, image_extensions
from emms.datasets.images import read_image
from emms.datasets.unread import UnreadImages, extension
from emms.downstream.image_classification import ImageSample
from emms.errors import DatasetError, printable
from emms.paths import UserPath


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
        folders, loose = class_folders(root, extensions, "images")
        not_listed = [name for name in loose if extension(name) in KNOWN_EXTENSIONS - DOCUMENT_EXTENSIONS]
        real = real_folders(root, folders)
        ids, classes = [], []
        for index, folder in enumerate(folders):
            images, others = files_below(root, folder, extensions, real, "images")
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


def _no_image(root: str, folder: str, others: list[str]) -> DatasetError:
    unread, name = UnreadImages(root, others), printable(f"{root}/{folder}")
    if unread:
        return DatasetError(
            f"class folder '{name}' has only images that are not read: {unread.groups()}; {unread.remedy()}"
        )
    return DatasetError(f"class folder '{name}' has no images; add some, or remove the folder")
