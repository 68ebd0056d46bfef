"""Image classification: an image in, one of a few classes out."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.Image import Image

from emms.downstream.base import Sample
from emms.downstream.class_labels import ClassLabels


@dataclass(frozen=True)
class ImageSample(Sample):
    """An image, in mode RGB and upright."""

    image: Image


class ImageClassification(ClassLabels):
    """Which class an image belongs to."""

    name = "image-classification"
    sample = ImageSample
    template = "a photo of a {label}"
    throughput = "img/s"
