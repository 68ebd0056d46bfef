"""Token files of Flickr8k and Flickr30k."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.text_files import lines
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_NUMBER = re.compile(r"#\d+\Z")


class FlickrTokens(Captions):
    """Lines of an image and one of its captions, such as `1000268201_693b08cb0e.jpg#0`, a tab, `A child …`.

    Flickr8k.token.txt (Hodosh, Young and Hockenmaier 2013) and results_20130124.token of Flickr30k (Young et al. 2014).
    """

    format: Literal["flickr-tokens"] = "flickr-tokens"
    path: UserPath = Field(description="The file of captions, such as Flickr8k.token.txt or results_20130124.token.")

    def read(self) -> Iterator[Caption]:
        """Yield the captions. Raises DatasetError, with the line, if one has no tab or no caption number."""
        for number, line in lines(self.source):
            if not line.strip():
                continue
            name, tab, caption = line.partition("\t")
            image = _NUMBER.sub("", name.strip())
            if not tab or image == name.strip():
                raise DatasetError(
                    f"line {number} of '{self.source}' is '{printable(line, 60)}', not an image with a caption number, "
                    f"a tab and a caption, such as `1.jpg#0`; check that it is the right file"
                )
            yield Caption(image, caption, f"line {number}")
