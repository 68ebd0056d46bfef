"""Images of COCO: by id in JSON files of annotations, and by id on disk."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from emms.datasets.json_files import get, items
from emms.errors import DatasetError

_NAME = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{12})\.jpg")


class CocoImage(NamedTuple):
    """An image in a JSON file of COCO."""

    where: str
    """Its place in the file, such as `images[3]`."""
    name: str
    entry: dict[str, Any]


def images_by_id(content: Any, source: str) -> dict[int, CocoImage]:
    """Return the entries of `images` in a JSON file of COCO, by id. Raises DatasetError if an id occurs twice."""
    images: dict[int, CocoImage] = {}
    for where, entry in items(content, "images", source):
        whole = f"{where} of '{source}'"
        number, name = get(entry, "id", int, whole), get(entry, "file_name", str, whole)
        if number in images and images[number].entry != entry:
            raise DatasetError(f"{whole} has the id {number} of an earlier image; remove one of the two")
        images.setdefault(number, CocoImage(where, name, entry))
    return images


class CocoFolder:
    """The images of COCO in a folder or its direct subfolders, such as `train2014`, by the number in their name."""

    def __init__(self, folder: str) -> None:
        self._names: dict[int, str] = {}
        for prefix, path in [("", folder), *_subfolders(folder)]:
            for name in _listed(path):
                if found := _NAME.fullmatch(name):
                    self._names.setdefault(int(found[1]), prefix + name)

    def name(self, number: int) -> str:
        """Return the path of an image relative to the folder; that of COCO 2017 if it is not there."""
        return self._names.get(number) or f"{number:012}.jpg"


def _subfolders(folder: str) -> list[tuple[str, str]]:
    paths = ((name, os.path.join(folder, name)) for name in _listed(folder))
    return [(f"{name}/", path) for name, path in paths if "." not in name and os.path.isdir(path)]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # the listing of the samples says what is wrong
