"""IDX files, the format of MNIST and of its successor Fashion-MNIST."""

from __future__ import annotations

import gzip
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from PIL import Image
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.downstream.image_classification import ImageSample
from emms.errors import DatasetError
from emms.files import open_regular
from emms.paths import UserPath

_NAMES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]  # fmt: skip
_PREFIXES = {"train": "train", "test": "t10k"}


class FashionMNIST(Dataset):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747): clothes in 10 classes, 28 x 28 pixels, grey."""

    format: Literal["fashion-mnist"] = "fashion-mnist"
    path: UserPath = Field(
        Path("/usr/share/datasets/fashion-mnist"),
        description="The folder of the IDX files, gzipped or not. The default is where Debian's package "
        "dataset-fashion-mnist puts them.",
    )
    split: Literal["train", "test"] = Field(
        "train", description="The split: 60,000 training images or 10,000 test images."
    )

    def listing(self) -> Listing:
        """List the images in the file's order.

        Raises DatasetError if a file is missing or damaged, or if the numbers of labels and images differ.
        """
        prefix = _PREFIXES[self.split]
        path, labels_path = self._file(f"{prefix}-images-idx3-ubyte"), self._file(f"{prefix}-labels-idx1-ubyte")
        images, labels = _read(path, 3), _read(labels_path, 1)
        if len(images) != len(labels):
            raise DatasetError(
                f"'{path}' has {len(images)} images but '{labels_path}' has {len(labels)} labels; "
                f"use files from the same source"
            )
        if labels.size and labels.max() >= len(_NAMES):
            row = int(labels.argmax())
            raise DatasetError(
                f"'{labels_path}' has label {labels[row]} in row {row}; Fashion-MNIST's are 0 to {len(_NAMES) - 1}"
            )
        position = np.arange(len(labels))
        ids = [f"{self.split}-{i:05}" for i in position]
        return Listing(pl.DataFrame({"id": ids, "label": labels, "path": path, "position": position}, LISTING), _NAMES)

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Load one image."""
        grey = _read(record["path"], 3)[record["position"]]
        return ImageSample(record["id"], Image.fromarray(grey).convert("RGB"))

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file: only the format."""
        return {"format": self.format}

    def _file(self, name: str) -> str:
        folder = os.path.abspath(self.path)
        for candidate in (f"{folder}/{name}", f"{folder}/{name}.gz"):
            if os.path.exists(candidate):
                return candidate
        raise DatasetError(
            f"'{folder}' has neither {name} nor {name}.gz; install Debian's dataset-fashion-mnist, or give the folder "
            f"with `path:`"
        )


def _read(path: str, dimensions: int) -> np.ndarray:
    """Return the array of unsigned bytes in an IDX file; cached until the file changes.

    Raises DatasetError if the file cannot be read or has other content.
    """
    try:
        state = os.stat(path)
        return _parse(path, dimensions, (state.st_size, state.st_mtime_ns, state.st_ino))
    except (OSError, EOFError, zlib.error) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise DatasetError(f"'{path}' cannot be read: {reason}; download it again") from cause


@lru_cache(maxsize=4)
def _parse(path: str, dimensions: int, state: tuple[int, ...]) -> np.ndarray:
    with open_regular(path) as file:
        data = gzip.decompress(file.read()) if path.endswith(".gz") else file.read()
    header = 4 * (1 + dimensions)
    # Two zero bytes, 8 for "unsigned byte", the number of dimensions; then each dimension, big-endian.
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise DatasetError(
            f"'{path}' is not an IDX file of unsigned bytes in {dimensions} dimensions (it starts with "
            f"{data[:4].hex() or 'nothing'}); download it again"
        )
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    if len(data) - header != (expected := int(np.prod(shape, dtype=object))):
        raise DatasetError(
            f"'{path}' should have {' x '.join(map(str, shape))} = {expected} bytes but has {len(data) - header}; "
            f"download it again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
