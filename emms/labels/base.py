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
    truncated: int = 0
    """How many of the texts that `encode` was called with so far were cut off, since they are too long to read."""

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

        Many texts are embedded by several calls, so weights are read by the first one and kept. Counts the texts that
        are cut off in `truncated`. Raises LabelEncoderError if a text cannot be embedded.
        """

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts the encoder knows something of that is not in all of them, (len(texts),), bool.

        Those that it does not know are an error if labels are classes. Otherwise `encode` is called without them.
        """
        return np.ones(len(texts), dtype=bool)

    def why_unknown(self, text: str) -> str:
        """Return why a text is not `known`, and the remedy, for the message about it."""
        return "use another encoder"

    def why_alike(self, one: str, other: str) -> str:
        """Return why two texts may have the same embedding, for the error message about them."""
        return "it gives both the same embedding (many encoders ignore case and accents, or do not know emoji)"
