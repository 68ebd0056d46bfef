"""Referring expression comprehension: the box of the object in an image that an expression refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from emms.downstream.base import PLACEHOLDER, Sample
from emms.downstream.boxes import split_label
from emms.downstream.own_labels import OwnLabels
from emms.errors import LabelEncoderError, SpecError, printable

_EXPRESSION, _BOX = "{expression}", "{box}"


@dataclass(frozen=True)
class Expression(Sample):
    """An image, and an expression that refers to an object in it as `text`."""

    image: Image
    text: str


class ReferringExpression(OwnLabels):
    """Referring expression comprehension. A label is the text that `emms.downstream.boxes.box_label` returns.

    By default, a label's embedding is that of the box alone, by Fourier features of its coordinates. Not of the
    expression: it is an input of the networks, so that a network that only reads text could explain it. Not by text
    encoders: they know little of where a box is (`benchmarks/boxes.py` measures how little). A template can have
    `{label}` (expression and box), or `{box}` and, if wanted, `{expression}`.
    """

    name = "referring-expression"
    sample = Expression
    columns: ClassVar = {"image": "image", "expression": "text"}
    label_column = "box"
    template = _BOX
    label_encoders = ("boxes:fourier",)
    metric = "accuracy at IoU 0.5"
    throughput = "samples/s"

    def check_template(self, template: str) -> None:
        """Raise SpecError unless the template has `{label}` or `{box}` once, and `{expression}` at most once."""
        boxes = template.count(PLACEHOLDER) + template.count(_BOX)
        left = template.replace(PLACEHOLDER, "").replace(_BOX, "").replace(_EXPRESSION, "", 1)
        if boxes != 1 or re.search("[{}]", left):
            raise SpecError(
                f"label template '{template}' must contain {PLACEHOLDER} (expression and box) or {_BOX} exactly once, "
                f"{_EXPRESSION} at most once, and no other braces; for example: '{_BOX}' or '{_EXPRESSION}: {_BOX}'"
            )

    def fill_in(self, template: str, line: str) -> str:
        """Return the template filled in with a label. Raises LabelEncoderError if the label does not end with a box."""
        parts = split_label(line)
        if parts is None:
            raise LabelEncoderError(
                f"label '{printable(line)}' does not end with a box such as [120, 45, 300, 410], in thousandths of the "
                f"image's width and height; fix it, or remove the sample"
            )
        values = {PLACEHOLDER: line, _EXPRESSION: parts[0], _BOX: parts[1]}
        filled = re.sub("|".join(map(re.escape, values)), lambda match: values[match[0]], template)
        return " ".join(filled.split())
