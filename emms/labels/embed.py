"""Label embeddings in the store: their keys, and how they are computed and read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from emms.errors import LabelEncoderError, StoreError
from emms.labels.base import LabelEncoder
from emms.labels.width import ALIKE
from emms.store import Key, Meta, Store
from emms.store.digests import FileDigests

FILE = "label_embeddings.parquet"


class LabelsMeta(Meta):
    """Metadata of label embeddings."""

    encoder: str
    texts: int
    width: int


class LabelsKey(Key):
    """Key of the embeddings of texts, in this order, by one encoder."""

    kind: ClassVar[str] = "labels"
    version: ClassVar[int] = 2
    meta: ClassVar[type[Meta]] = LabelsMeta

    encoder: dict[str, Any]
    texts: str
    """SHA-256 of the texts."""

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the only file."""
        return (FILE,)


def labels_key(encoder: LabelEncoder, texts: Sequence[str], store: Store) -> LabelsKey:
    """Return the key of the embeddings of these texts, in this order, by this encoder.

    Files are hashed unless `store` remembers their digests; no weights are read into memory.
    Raises the errors of `LabelEncoder.reference`.
    """
    return LabelsKey(
        encoder=encoder.reference(FileDigests(store)),
        texts=hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest(),
    )


def embed_labels(
    encoder: LabelEncoder, texts: Sequence[str], store: Store, key: LabelsKey, device: str = "cpu", *, classes: bool
) -> None:
    """Compute the embeddings of texts and store them under `key`, their `labels_key`.

    classes: whether each text is a class, so that no two may have the same embedding.
    Raises LabelEncoderError if the encoder fails, does not return one finite vector per text, or returns the same
    embedding for two classes.
    """
    embeddings = np.ascontiguousarray(encoder.encode(texts, device), dtype=np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(texts) or not embeddings.shape[1]:
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' returns an array of shape {embeddings.shape} for {len(texts)} texts; "
            f"it must return one row per text, so fix it or use another"
        )
    not_finite = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(not_finite):
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' returns nan or infinity for {len(not_finite)} of {len(texts)} texts, the "
            f"first '{texts[not_finite[0]]}'; its weights may be damaged, so download them again or use another encoder"
        )
    if classes:
        _check_different(encoder, texts, embeddings)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), embeddings.shape[1])
    with store.create(key) as draft:
        draft.table(FILE, pa.table({"text": list(texts), "embedding": lists}))
        draft.meta = LabelsMeta(encoder=encoder.name, texts=len(texts), width=embeddings.shape[1])


def _check_different(encoder: LabelEncoder, texts: Sequence[str], embeddings: np.ndarray) -> None:
    """Raise LabelEncoderError if two texts have the same embedding up to rounding."""
    # Equal rows have equal products with a random vector, so they are neighbours in this order.
    order = np.argsort(embeddings @ np.random.default_rng(0).standard_normal(embeddings.shape[1]), kind="stable")
    distances = np.linalg.norm(np.diff(embeddings[order].astype(np.float64), axis=0), axis=1)
    # The median, since the largest may be an outlier; it is zero if embeddings are sparse: then only equal rows count.
    for i in np.flatnonzero(distances <= ALIKE * np.sqrt(embeddings.shape[1]) * np.median(np.abs(embeddings))):
        one, other = sorted((texts[order[i]], texts[order[i + 1]]))
        if one != other:
            raise LabelEncoderError(
                f"label encoder '{encoder.name}' cannot tell '{one}' from '{other}': {encoder.why_alike(one, other)}; "
                f"give one of the classes another name, or use another encoder"
            )


def read_label_embeddings(store: Store, key: LabelsKey) -> np.ndarray:
    """Return the embeddings, (U, D2) float32, one row per text; read-only.

    Raises StoreError if they are not in the store, DamagedError if they are damaged.
    """
    artifact = store.find(key)
    if artifact is None:
        raise StoreError(f"label embeddings were removed from store '{store.url}'; run again to compute them again")
    table = artifact.table(FILE)
    try:
        lists = table["embedding"].combine_chunks()
        return lists.flatten().to_numpy(zero_copy_only=True).reshape(artifact.meta.texts, artifact.meta.width)
    except (KeyError, AttributeError, ValueError, pa.ArrowException) as cause:
        raise artifact.damaged() from cause
