"""Referring expression comprehension: the box of the object in an image that an expression refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from emms.downstream.base import Sample
from emms.downstream.own_labels import OwnLabels


@dataclass(frozen=True)
class Expression(Sample):
    """An image, and an expression that refers to an object in it as `text`."""

    image: Image
    text: str


class ReferringExpression(OwnLabels):
    """Referring expression comprehension. A label is the text that `emms.downstream.boxes.box_label` returns."""

    name = "referring-expression"
    sample = Expression
    columns: ClassVar = {"image": "image", "expression": "text"}
    label_column = "box"
    metric = "accuracy at IoU 0.5"
    throughput = "samples/s"
