"""Texts as lines: each different line is embedded once, and a text of several lines is their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from emms.errors import LabelEncoderError
from emms.moments.rows import Rows


class Lines:
    """The different lines of texts, and which of them each text consists of.

    Raises LabelEncoderError if a text is empty, or has no line that is not blank.
    """

    distinct: list[str]
    """The different lines, in the order of their first occurrence."""

    def __init__(self, texts: Sequence[str]) -> None:
        number: dict[str, int] = {}
        lines, lengths = list[int](), np.zeros(len(texts), dtype=np.int64)
        for i, text in enumerate(texts):
            own = [number.setdefault(line, len(number)) for line in text.split("\n") if line.strip()]
            if not own:
                raise LabelEncoderError(
                    f"the text of label number {i + 1} of {len(texts)} is empty, so that it has no embedding; fill it "
                    f"in, or remove its samples"
                )
            lines += own
            lengths[i] = len(own)
        self.distinct = list(number)
        self._lines, self._ends = np.array(lines, dtype=np.int64), np.cumsum(lengths)

    def means(self, texts: slice, embedded: Rows, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean embedding of the known lines of texts, (B, width) float32, and which texts have none, (B,).

        embedded: the embeddings of the known lines, in their order. known: (len(distinct),), bool.
        """
        ends = self._ends[texts]
        start = self._ends[texts.start - 1] if texts.start else 0
        lines = self._lines[start : ends[-1]]
        text_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=start))[known[lines]]
        rows = (np.cumsum(known) - 1)[lines[known[lines]]]
        sums = csr_array((np.ones(len(rows)), (text_of, np.arange(len(rows)))), (len(ends), len(rows))) @ embedded[rows]
        counts = np.bincount(text_of, minlength=len(ends))
        return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32), counts == 0


def first_of_equal(texts: Sequence[str]) -> np.ndarray:
    """Return for each text the index of the first equal one, (len(texts),), since equal texts are one label."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(text, i) for i, text in enumerate(texts)], dtype=np.int64)
