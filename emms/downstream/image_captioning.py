"""Image captioning: a text that describes an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from emms.downstream.base import Sample
from emms.downstream.own_labels import OwnLabels


@dataclass(frozen=True)
class CaptionedImage(Sample):
    """An image and its caption, which is also its label: only networks with teacher forcing read it."""

    image: Image
    caption: str


class ImageCaptioning(OwnLabels):
    """Captioning of images."""

    name = "image-captioning"
    sample = CaptionedImage
    columns: ClassVar = {"image": "image", "caption": "caption"}
    label_column = "caption"
    metric = "CIDEr"
    throughput = "img/s"
