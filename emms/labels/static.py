"""Label embeddings from static word vectors such as GloVe: one vector per word, independent of context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emms.errors import LabelEncoderError, printable
from emms.labels.base import LabelEncoder
from emms.word_vectors import DAMAGES, open_vectors, words_of

VERSION = 1


class StaticVectors(LabelEncoder):
    """Embeds a text as the mean of the vectors of its known words.

    `matrix` is a .npy file of (words, D2) floats, of which only the necessary rows are read; `index` is a Parquet file
    whose first column has the words in lower case, in the order of the rows.
    """

    def __init__(self, name: str, matrix: Path, index: Path, pooling: str = "auto") -> None:
        super().__init__(name, pooling)
        self._matrix, self._index = matrix, index

    def reference(self, digests: Callable[[Sequence[str]], list[str]]) -> dict[str, Any]:
        """Return the digests of both files; see `LabelEncoder.reference`."""
        try:
            matrix, index = digests([str(self._matrix), str(self._index)])
        except OSError as cause:
            raise self._unreadable(cause) from cause
        return {"encoder": "static vectors", "version": VERSION, "files": {"matrix": matrix, "index": index}}

    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return the embeddings, (len(texts), D2) float32. Raises LabelEncoderError if a text has no known words."""
        words = [words_of(text) for text in texts]
        vectors = self._vectors({word for text_words in words for word in text_words})
        unknown = [text for text, own in zip(texts, words, strict=True) if vectors.keys().isdisjoint(own)]
        if unknown:
            raise LabelEncoderError(
                f"label encoder '{self.name}' knows none of the words of '{printable(unknown[0])}': "
                f"{self.why_unknown(unknown[0])}"
            )
        # In alphabetical order, so that texts with the same words have exactly the same sum.
        means = [
            np.mean([vectors[word] for word in sorted(text_words) if word in vectors], axis=0) for text_words in words
        ]
        return np.array(means, dtype=np.float32)

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Return which texts have known words besides those that are in all texts, (len(texts),).

        The latter are the words of a template: a text without other known words would be embedded as the template.
        """
        common = set(words_of(texts[0])) if len(set(texts)) > 1 else set()
        vocabulary = set[str]()
        for text in texts:  # one at a time, since there may be many
            words = words_of(text)
            vocabulary.update(words)
            common.intersection_update(words)
        known = self._vectors(vocabulary).keys()
        # A text of no other words than the common ones may be a label that is a word of the template.
        return np.array([not known.isdisjoint(set(w := words_of(text)) - common or w) for text in texts], dtype=bool)

    def why_alike(self, one: str, other: str) -> str:
        """Return which words of two texts with the same embedding are unknown."""
        words = {*words_of(one), *words_of(other)}
        unknown = ", ".join(sorted(words - self._vectors(words).keys())) or "none, but their order is ignored"
        return (
            f"it knows the same words of both (unknown words: {unknown}), while an encoder with subword tokens in "
            f"order, such as packaged:all-minilm-l6-v2, can tell them apart"
        )

    def why_unknown(self, text: str) -> str:
        """Return which words are unknown, and the remedy."""
        words = set(words_of(text))
        unknown = ", ".join(sorted(words - self._vectors(words).keys())) or "it has no words"
        return (
            f"unknown: {unknown}; write it in words of the encoder's language, or use an encoder with subword tokens, "
            f"such as packaged:all-minilm-l6-v2, or for other languages than English "
            f"hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
        )

    def _vectors(self, words: set[str]) -> dict[str, np.ndarray]:
        """Return the vectors of the known ones among the words, in float64."""
        try:
            matrix, index = open_vectors(self._matrix, self._index)
        except DAMAGES as cause:
            raise self._unreadable(cause) from cause
        rows = index.is_in(list(words)).arg_true()
        return dict(zip(index[rows], np.asarray(matrix[rows.to_numpy()], dtype=np.float64), strict=True))

    def _unreadable(self, cause: object) -> LabelEncoderError:
        return LabelEncoderError(
            f"label encoder '{self.name}' cannot be read from {self._matrix} and {self._index}: {cause}; "
            f"install it again"
        )
