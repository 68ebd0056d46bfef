"""FlickrStyle10K: humorous and romantic captions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.plain_pickles import read_pickle
from emms.datasets.text_files import lines
from emms.errors import DatasetError
from emms.paths import UserPath

_FILES = {"humorous": ("humor", "funny_train.txt"), "romantic": ("romantic", "romantic_train.txt")}


class FlickrStyle10K(Captions):
    """FlickrStyle_v0.9 (Gan et al. 2017, StyleNet): a line per caption, and a pickle of the images in the same order.

    The names of images are those of Flickr8k, such as `1000268201_693b08cb0e.jpg`; Flickr30k calls the same photo
    `1000268201.jpg`, and either is found in the folder of images. Lines that are not UTF-8 are read as Windows-1252.
    """

    format: Literal["flickrstyle10k"] = "flickrstyle10k"
    path: UserPath = Field(description="The folder FlickrStyle_v0.9, with the folders `humor` and `romantic`.")
    style: Literal["humorous", "romantic"] = Field("humorous", description="The style of the captions.")

    @property
    def source(self) -> str:
        """Path of the file of captions, for messages."""
        return os.path.join(os.path.abspath(self.path), *_FILES[self.style])

    def read(self) -> Iterator[Caption]:
        """Yield the captions. Raises DatasetError if there are more or fewer captions than images."""
        pickled = os.path.join(os.path.dirname(self.source), "train.p")
        names = read_pickle(pickled)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DatasetError(f"'{pickled}' is not a list of file names; check that it is the right file")
        captions = list(lines(self.source, "cp1252"))
        while captions and not captions[-1][1].strip():
            captions.pop()
        if len(captions) != len(names):
            captions = [(number, text) for number, text in captions if text.strip()]
        if len(captions) != len(names):
            raise DatasetError(
                f"'{self.source}' has {len(captions)} captions but '{pickled}' names {len(names)} images; "
                f"use files from the same source"
            )
        for name, (number, text) in zip(names, captions, strict=True):
            yield Caption(self._image(name), text, f"line {number}")

    def _image(self, name: str) -> str:
        """Return the name of an image in the folder: that of Flickr8k, or that of Flickr30k if only that exists."""
        number, underscore, _ = name.partition("_")
        of_flickr30k = f"{number}.jpg"
        if underscore and not os.path.exists(os.path.join(self.image_folder, name)):
            return of_flickr30k if os.path.exists(os.path.join(self.image_folder, of_flickr30k)) else name
        return name
