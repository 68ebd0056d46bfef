"""What every label encoder gives: what determines its embeddings, and the embeddings of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emms.errors import LabelEncoderError


class LabelEncoder(ABC):
    """A foundation model that turns texts into vectors. Making one is cheap: weights are read by `encode`.

    `name` is what follows the source in `SOURCE:NAME`; `pooling` is `auto` or one of `poolings`.
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
        """Return, as JSON, what determines the embeddings of a text: weights' digests, pooling, a version number.

        `digests` gives the SHA-256 of local files. Reads no weights into memory.
        Raises LabelEncoderError when its files are not there, UnavailableError when the hub cannot be reached.
        """

    @abstractmethod
    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return one embedding per text, (len(texts), D2), float32, finite; it does not depend on the other texts.

        Raises LabelEncoderError when a text cannot be embedded.
        """

    def why_alike(self, one: str, other: str) -> str:
        """Return why two texts may have got the same embedding, and what helps, for the message that says so."""
        return "it gives both the same embedding (many encoders ignore case and accents, or do not know emoji)"
