"""A numeric encoder for boxes: Fourier features of the coordinates, since text encoders know little of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emms.downstream.boxes import BINS, Box, parse_box
from emms.errors import LabelEncoderError, did_you_mean, printable
from emms.labels.base import LabelEncoder

NAMES = ("fourier",)
FREQUENCIES = np.array([1, 2, 4])
"""Half-turns over the width or height of the image: 1 tells all positions apart, the others are finer."""


class BoxEncoder(LabelEncoder):
    """Sines and cosines of the centre and size of the last box in a text, (24,): 4 numbers, 3 frequencies.

    A number v from 0 to 1 becomes sin(f pi v) and cos(f pi v) for each frequency f, so that near boxes have near
    embeddings, at several scales, and no number is larger than another because of its unit.

    Raises LabelEncoderError if the name is not `fourier`.
    """

    def __init__(self, name: str, pooling: str = "auto") -> None:
        if name not in NAMES:
            raise LabelEncoderError(
                f"label encoder 'boxes:{name}' is unknown{did_you_mean(name, NAMES)} (known: {', '.join(NAMES)})"
            )
        super().__init__(name, pooling)

    def reference(self, digests: Callable[[Sequence[str]], list[str]]) -> dict[str, Any]:
        """Return what determines the embeddings; see `LabelEncoder.reference`."""
        return {"encoder": "boxes", "name": self.name, "version": 1, "frequencies": FREQUENCIES.tolist()}

    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return the embeddings, (len(texts), 24) float32. Raises LabelEncoderError if a text has no box."""
        angles = np.pi * centres_and_sizes([_box(text) for text in texts])[:, :, None] * FREQUENCIES
        waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
        return waves.reshape(len(texts), -1).astype(np.float32)


def centres_and_sizes(boxes: Sequence[Box]) -> np.ndarray:
    """Return the centre (x, y) and the size (width, height) of boxes, as fractions of the image's, (B, 4)."""
    left, top, right, bottom = np.array(boxes, dtype=np.float64).T.reshape(4, -1) / BINS
    half = 0.5 / BINS  # the middle of a bin
    return np.stack([(left + right) / 2 + half, (top + bottom) / 2 + half, right - left, bottom - top], axis=1)


def _box(text: str) -> Box:
    box = parse_box(text)
    if box is None:
        raise LabelEncoderError(
            f"label encoder 'boxes:fourier' finds no box such as [120, 45, 300, 410] in the text '{printable(text)}'; "
            f"it is for the task of referring expressions, with {{box}} or {{label}} in the label template"
        )
    return box
