"""Boxes as text: coordinates in 1,000 bins, as in vision-language models."""

from __future__ import annotations

import re
from typing import NamedTuple

BINS = 1000
_BOX = re.compile(r"\[(\d{1,3}), (\d{1,3}), (\d{1,3}), (\d{1,3})\]", re.ASCII)
_LABEL = re.compile(rf"(?:(.*\S)\s+|\s*)({_BOX.pattern})\s*", re.ASCII | re.DOTALL)


class Box(NamedTuple):
    """A box in bins of an image's width and height, each from 0 to 999: left, top, right and bottom."""

    left: int
    top: int
    right: int
    bottom: int


def in_bins(left: float, top: float, right: float, bottom: float, width: float, height: float) -> Box | None:
    """Return a box given in pixels, cut off at the borders of an image of width x height pixels.

    Returns None if it is empty, outside the image, or not finite.
    """
    left, right = max(left, 0.0), min(right, width)
    top, bottom = max(top, 0.0), min(bottom, height)
    if not (left < right and top < bottom):  # also if a number is nan
        return None
    shares = (left / width, top / height, right / width, bottom / height)
    return Box(*(min(int(share * BINS), BINS - 1) for share in shares))


def box_label(expression: str, box: Box) -> str:
    """Return the label of a referring expression, such as `the red circle [120, 45, 300, 410]`."""
    return f"{' '.join(expression.split())} [{box.left}, {box.top}, {box.right}, {box.bottom}]".lstrip()


def split_label(label: str) -> tuple[str, str] | None:
    """Return the expression and the text of the box of a label, or None if it does not end with a box."""
    match = _LABEL.fullmatch(label)
    return (match[1] or "", match[2]) if match else None


def parse_box(text: str) -> Box | None:
    """Return the last box in a text, or None if it has none."""
    found = _BOX.findall(text)
    return Box(*map(int, found[-1])) if found else None
