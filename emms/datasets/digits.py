"""scikit-learn's digits: 1,797 handwritten digits of 8 x 8 pixels, part of scikit-learn."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import polars as pl
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing
from emms.downstream.image_classification import ImageSample

_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class Digits(Dataset):
    """scikit-learn's digits (`load_digits`), grey values 0..16 scaled to 0..255, classes named zero to nine."""

    format: Literal["digits"] = "digits"

    def listing(self) -> Listing:
        """List the digits in scikit-learn's order, which is that of the rows of its CSV file."""
        path = str(files("sklearn").joinpath("datasets", "data", "digits.csv.gz"))
        labels = _table(path)[:, -1]
        position = np.arange(len(labels))
        ids = [f"digit-{i:04}" for i in position]
        return Listing(pl.DataFrame({"id": ids, "label": labels, "path": path, "position": position}, LISTING), _NAMES)

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Load one digit."""
        grey = _table(record["path"])[record["position"], :-1].reshape(8, 8)
        return ImageSample(record["id"], Image.fromarray(np.rint(grey * (255 / 16)).astype(np.uint8)).convert("RGB"))

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample: only the format."""
        return {"format": self.format}


@cache
def _table(path: str) -> np.ndarray:
    """Return the file's rows, (1797, 65), uint8: 64 grey values and the digit."""
    return np.loadtxt(path, delimiter=",", dtype=np.uint8)
