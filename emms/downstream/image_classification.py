"""Image classification: one class per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from emms.downstream.base import Sample
from emms.downstream.class_labels import ClassLabels


@dataclass(frozen=True)
class ImageSample(Sample):
    """An image in mode RGB, rotated upright."""

    image: Image


class ImageClassification(ClassLabels):
    """Classification of images."""

    name = "image-classification"
    sample = ImageSample
    columns: ClassVar = {"image": "image"}
    template = "a photo of a {label}"
    throughput = "img/s"
