"""Label embeddings in the store: what determines them, and how they are computed and read."""

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
    """What is noted about label embeddings."""

    encoder: str
    texts: int
    width: int


class LabelsKey(Key):
    """What determines the embeddings of texts, in this order, by one encoder."""

    kind: ClassVar[str] = "labels"
    version: ClassVar[int] = 2
    meta: ClassVar[type[Meta]] = LabelsMeta

    encoder: dict[str, Any]
    texts: str
    """SHA-256 of the texts."""

    def file_names(self) -> tuple[str, ...]:
        """Return the name of the one file."""
        return (FILE,)


def labels_key(encoder: LabelEncoder, texts: Sequence[str], store: Store) -> LabelsKey:
    """Return what determines the embeddings of these texts, in this order, by this encoder.

    Files are hashed where `store` does not remember their digests; no weights are read into memory.
    Raises LabelEncoderError when the encoder's files cannot be had.
    """
    return LabelsKey(
        encoder=encoder.reference(FileDigests(store)),
        texts=hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest(),
    )


def embed_labels(
    encoder: LabelEncoder, texts: Sequence[str], store: Store, key: LabelsKey, device: str = "cpu", *, classes: bool
) -> None:
    """Embed the texts into the store, under their `labels_key`.

    classes: whether each text is a class, so that no two may have the same embedding.
    Raises LabelEncoderError when the encoder fails, gives anything but one finite vector per text, or cannot tell two
    classes apart.
    """
    embeddings = np.ascontiguousarray(encoder.encode(texts, device), dtype=np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(texts) or not embeddings.shape[1]:
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' gives an array of shape {embeddings.shape} for {len(texts)} texts; "
            f"it must give one row per text, so fix it or use another"
        )
    spoilt = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(spoilt):
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' gives nan or infinity for {len(spoilt)} of {len(texts)} texts, the first "
            f"'{texts[spoilt[0]]}'; its weights may be damaged, so download them again or use another encoder"
        )
    if classes:
        _check_different(encoder, texts, embeddings)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), embeddings.shape[1])
    with store.create(key) as draft:
        draft.table(FILE, pa.table({"text": list(texts), "embedding": lists}))
        draft.meta = LabelsMeta(encoder=encoder.name, texts=len(texts), width=embeddings.shape[1])


def _check_different(encoder: LabelEncoder, texts: Sequence[str], embeddings: np.ndarray) -> None:
    """Raise LabelEncoderError when two texts have the same embedding, up to what rounding does to one of them."""
    # Equal rows have equal products, so they are neighbours in this order.
    order = np.argsort(embeddings @ np.random.default_rng(0).standard_normal(embeddings.shape[1]), kind="stable")
    apart = np.linalg.norm(np.diff(embeddings[order].astype(np.float64), axis=0), axis=1)
    # The median, since the largest may be an outlier; in a sparse one it is zero, and only equals are alike.
    for i in np.flatnonzero(apart <= ALIKE * np.sqrt(embeddings.shape[1]) * np.median(np.abs(embeddings))):
        one, other = sorted((texts[order[i]], texts[order[i + 1]]))
        if one != other:
            raise LabelEncoderError(
                f"label encoder '{encoder.name}' cannot tell '{one}' from '{other}': {encoder.why_alike(one, other)}; "
                f"give one of the classes another name, or use another encoder"
            )


def read_label_embeddings(store: Store, key: LabelsKey) -> np.ndarray:
    """Return the embeddings, (U, D2) float32, one row per text; read-only.

    Raises StoreError when they are not in the store, DamagedError when they are damaged there.
    """
    artifact = store.find(key)
    if artifact is None:
        raise StoreError(f"label embeddings have gone from store '{store.url}'; run again to compute them anew")
    table = artifact.table(FILE)
    try:
        lists = table["embedding"].combine_chunks()
        return lists.flatten().to_numpy(zero_copy_only=True).reshape(artifact.meta.texts, artifact.meta.width)
    except (KeyError, AttributeError, ValueError, pa.ArrowException) as cause:
        raise artifact.damaged() from cause
