"""Label embeddings in the store: how they are addressed, computed and read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from emms.errors import LabelEncoderError, StoreError
from emms.labels.base import LabelEncoder
from emms.labels.width import ALIKE
from emms.store import Store
from emms.store.digests import FileDigests

VERSION = 1
KIND = "labels"
FILE = "label_embeddings.parquet"

LabelsKey = dict[str, Any]


def labels_key(encoder: LabelEncoder, texts: Sequence[str], store: Store) -> LabelsKey:
    """Return what determines the embeddings of these texts, in this order, by this encoder.

    Files are hashed where `store` does not remember their digests; no weights are read into memory.
    Raises LabelEncoderError when the encoder's files cannot be had.
    """
    return {
        "stage": "labels",
        "version": VERSION,
        "encoder": encoder.reference(FileDigests(store)),
        "texts": hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest(),
    }


def embed_labels(
    encoder: LabelEncoder, texts: Sequence[str], store: Store, key: LabelsKey, device: str = "cpu"
) -> bool:
    """Embed the texts into the store, under their `labels_key`, unless it has them; return whether that took work.

    Raises LabelEncoderError when the encoder fails, gives anything but one finite vector a text, or gives two
    different texts the same.
    """
    if store.find(KIND, key):
        return False
    embeddings = np.ascontiguousarray(encoder.encode(texts, device), dtype=np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(texts) or not embeddings.shape[1]:
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' gives an array of shape {embeddings.shape} for {len(texts)} texts; "
            f"it must give one row a text, so mend it or use another"
        )
    spoilt = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(spoilt):
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' gives nan or infinity for {len(spoilt)} of {len(texts)} texts, the first "
            f"'{texts[spoilt[0]]}'; its weights may be damaged, so download them again or use another encoder"
        )
    _check_different(encoder.name, texts, embeddings)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), embeddings.shape[1])
    with store.create(KIND, key) as draft:
        draft.table(FILE, pa.table({"text": list(texts), "embedding": lists}))
        draft.meta |= {"encoder": encoder.name, "texts": len(texts), "width": embeddings.shape[1]}
    return True


def _check_different(name: str, texts: Sequence[str], embeddings: np.ndarray) -> None:
    """Raise LabelEncoderError when two texts have the same embedding, up to what rounding does to one of them."""
    # Equal rows have equal products, so they are neighbours in this order.
    order = np.argsort(embeddings @ np.random.default_rng(0).standard_normal(embeddings.shape[1]), kind="stable")
    apart = np.linalg.norm(np.diff(embeddings[order].astype(np.float64), axis=0), axis=1)
    # The median, since the largest may be an outlier; in a sparse one it is zero, and only equals are alike.
    for i in np.flatnonzero(apart <= ALIKE * np.sqrt(embeddings.shape[1]) * np.median(np.abs(embeddings))):
        one, other = sorted((texts[order[i]], texts[order[i + 1]]))
        if one != other:
            raise LabelEncoderError(
                f"label encoder '{name}' cannot tell '{one}' from '{other}': it gives both the same embedding (many "
                f"ignore case and accents, or do not know emoji); name one of the classes otherwise, or use another "
                f"encoder"
            )


def read_label_embeddings(store: Store, key: LabelsKey) -> np.ndarray:
    """Return the embeddings, (U, D2) float32, one row a text, read-only: numpy looks at what Parquet gave, uncopied.

    Raises StoreError when they are not in the store.
    """
    artifact = store.find(KIND, key)
    if artifact is None:
        raise StoreError(
            f"label embeddings are not in store '{store.url}', or damaged there; run again to compute them anew"
        )
    lists = artifact.table(FILE)["embedding"].combine_chunks()
    return lists.flatten().to_numpy(zero_copy_only=True).reshape(len(lists), lists.type.list_size)
