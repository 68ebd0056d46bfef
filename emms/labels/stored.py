"""Read label embeddings from the store: into memory, or, if they are large, into a temporary file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from emms.errors import StoreError
from emms.labels.embed import FILE, LabelsKey
from emms.labels.width import common_width, common_width_in_file
from emms.moments.rows import RowFile, Rows
from emms.store import Artifact, Store

IN_MEMORY = 64 * 2**20
"""Bytes of the embeddings of all encoders up to which they are kept in memory."""


def label_embeddings(store: Store, keys: Sequence[LabelsKey], counts: np.ndarray, *, classes: bool) -> Rows:
    """Return the embeddings of all U labels by K encoders, reduced to a common width, (U, D2, K).

    counts: (U,), number of samples per label. classes: whether labels are classes, whose embeddings are always in
    memory; others are read on access from a temporary file if they take more than IN_MEMORY bytes.
    Raises StoreError if they are not in the store, or the temporary folder is full; DamagedError if they are damaged.
    """
    artifacts = [_artifact(store, key) for key in keys]
    if classes or sum(4 * artifact.meta.texts * artifact.meta.width for artifact in artifacts) <= IN_MEMORY:
        return common_width([np.concatenate(list(_blocks(artifact))) for artifact in artifacts], counts)
    files = []
    for artifact in artifacts:
        file = RowFile(artifact.meta.width)
        for block in _blocks(artifact):
            file.append(block)
        files.append(file)
    return common_width_in_file(files, counts)


def read_label_embeddings(store: Store, key: LabelsKey) -> np.ndarray:
    """Return the embeddings by one encoder, (U, D2) float32, one row per text.

    Raises StoreError if they are not in the store, DamagedError if they are damaged.
    """
    return np.concatenate(list(_blocks(_artifact(store, key))))


def _artifact(store: Store, key: LabelsKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise StoreError(f"label embeddings were removed from store '{store.url}'; run again to compute them again")
    return artifact


def _blocks(artifact: Artifact) -> Iterator[np.ndarray]:
    """Yield the embeddings block by block, (B, width) float32. Raises DamagedError if they are not as described."""
    rows = 0
    for table in artifact.row_groups(FILE):
        try:
            lists = table["embedding"].combine_chunks()
            block = lists.flatten().to_numpy(zero_copy_only=True).reshape(len(table), artifact.meta.width)
        except (KeyError, AttributeError, ValueError, pa.ArrowException) as cause:
            raise artifact.damaged() from cause
        if block.dtype != np.float32:
            raise artifact.damaged()
        rows += len(block)
        yield block
    if rows != artifact.meta.texts:
        raise artifact.damaged()
