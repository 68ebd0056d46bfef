"""Interface of label encoders: what determines their embeddings, and the embeddings of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emms.errors import LabelEncoderError


class LabelEncoder(ABC):
    """A foundation model that turns texts into vectors. Creating one is cheap: weights are read by `encode`.

    `name` is the part after the source in `SOURCE:NAME`; `pooling` is `auto` or one of `poolings`.
    """

    poolings: tuple[str, ...] = ("auto",)

    def __init__(self, name: str, pooling: str = "auto") -> None:
        if pooling not in self.poolings:
            raise LabelEncoderError(
                f"label encoder '{name}' has no pooling '{pooling}'; it has: {', '.join(self.poolings)}"
            )
        self.name, self.pooling = name, pooling

    @abstractmethod
    def reference(self, digests: Callable[[Sequence[str]], list[str]]) -> dict[str, Any]:
        """Return, as JSON, what determines the embeddings: digests of the weights, pooling, a version number.

        `digests` returns the SHA-256 of local files. Reads no weights into memory.
        Raises LabelEncoderError if files are missing, UnavailableError if the hub cannot be reached.
        """

    @abstractmethod
    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return one embedding per text, (len(texts), D2), float32, finite, and independent of the other texts.

        Raises LabelEncoderError if a text cannot be embedded.
        """

    def why_alike(self, one: str, other: str) -> str:
        """Return why two texts may have the same embedding, for the error message about them."""
        return "it gives both the same embedding (many encoders ignore case and accents, or do not know emoji)"
