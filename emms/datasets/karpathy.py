"""Captions with Karpathy's splits: of Flickr8k, Flickr30k and COCO, and RSICD in the same form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.json_files import get, items, read_json
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_KEYS = frozenset({"images", "filepath", "filename", "split", "sentences", "raw"})


class Karpathy(Captions):
    """JSON with captions and splits by image (Karpathy and Fei-Fei 2015); RSICD (Lu et al. 2017) has the same form.

    The image of a COCO caption is in the folder that its `filepath` names, such as `val2014`, below `images`.
    """

    format: Literal["karpathy"] = "karpathy"
    path: UserPath = Field(description="The file of captions, such as dataset_flickr8k.json.")
    split: Literal["train", "restval", "val", "test"] | None = Field(
        None, description="The split: `train`, `restval` (COCO), `val` or `test`. The default is all of them."
    )

    def read(self) -> Iterator[Caption]:
        """Yield the captions of the split. Raises DatasetError, with the place, if a key is missing."""
        splits = set()
        for where, image in items(read_json(self.source, _KEYS), "images", self.source):
            whole = f"{where} of '{self.source}'"
            splits.add(split := get(image, "split", str, whole))
            if self.split not in {None, split}:
                continue
            name = get(image, "filename", str, whole)
            folder = get(image, "filepath", str, whole) if "filepath" in image else ""
            path = f"{folder}/{name}" if folder else name
            if not get(image, "sentences", list, whole):
                yield Caption(path, "", where, "have no caption")
            for place, sentence in items(image, "sentences", self.source, where):
                yield Caption(path, get(sentence, "raw", str, f"{place} of '{self.source}'"), place)
        if self.split not in {None, *splits}:
            known = ", ".join(f"'{printable(split)}'" for split in sorted(splits))
            raise DatasetError(f"'{self.source}' has no split '{self.split}' (it has: {known})")
