"""Lines of an image and a caption, as the published code of EMMS reads captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.text_files import lines
from emms.paths import UserPath


class CaptionLines(Captions):
    """Lines of an image, a space and a caption, which is read in lower case (Meng et al. 2023, arXiv 2308.06262)."""

    format: Literal["caption-lines"] = "caption-lines"
    path: UserPath = Field(description="The file of lines such as `1.jpg a child climbs the stairs`.")

    def read(self) -> Iterator[Caption]:
        """Yield the captions."""
        for number, line in lines(self.source):
            if line.strip():
                image, _, caption = line.strip().partition(" ")
                yield Caption(image, caption.lower(), f"line {number}")
