"""Captions of COCO: captions_train2014.json and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.coco_files import images_by_id
from emms.datasets.json_files import get, items, read_json
from emms.paths import UserPath

_KEYS = frozenset({"images", "annotations", "id", "file_name", "image_id", "caption"})


class CocoCaptions(Captions):
    """JSON with `images` and `annotations` (Chen et al. 2015, arXiv 1504.00325)."""

    format: Literal["coco-captions"] = "coco-captions"
    path: UserPath = Field(description="The file of captions, such as captions_val2017.json.")

    def read(self) -> Iterator[Caption]:
        """Yield the captions, then the images without one. Raises DatasetError, with the place, if a key is missing."""
        content = read_json(self.source, _KEYS)
        images = images_by_id(content, self.source)
        used = set()
        for where, annotation in items(content, "annotations", self.source):
            whole = f"{where} of '{self.source}'"
            number, text = get(annotation, "image_id", int, whole), get(annotation, "caption", str, whole)
            if number in images:
                used.add(number)
                yield Caption(images[number].name, text, where)
            else:
                yield Caption("", text, where, "are of an image that the file does not list")
        for number, image in images.items():
            if number not in used:
                yield Caption(image.name, "", image.where, "have no caption")
