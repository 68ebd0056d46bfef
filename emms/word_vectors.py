"""Static word vectors such as GloVe: one vector per word, independent of context.

A matrix is a .npy file of (words, D) floats, an index is a Parquet file whose first column has the words in lower case,
in the order of the rows.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

DAMAGES = (OSError, ValueError, pl.exceptions.PolarsError)
"""What `open_vectors` raises if a file cannot be read, or if the two do not belong together."""


def open_vectors(matrix: Path, index: Path) -> tuple[np.ndarray, pl.Series]:
    """Return the matrix, of which only rows in use are read, and the words of its rows. Raises `DAMAGES`."""
    vectors = np.load(matrix, mmap_mode="r", allow_pickle=False)
    words = pl.read_parquet(index, columns=[0]).to_series()
    if vectors.ndim != 2 or len(vectors) != len(words) or vectors.dtype.kind != "f":
        raise ValueError(f"{len(words)} words do not match a matrix of shape {vectors.shape}, {vectors.dtype}")
    return vectors, words


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits."""
    return re.findall(r"[^\W_]+", text.lower())
