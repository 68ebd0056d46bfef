"""Label embeddings in the store: their keys, and how they are computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from emms.errors import LabelEncoderError, printable
from emms.labels.base import LabelEncoder
from emms.labels.lines import Lines
from emms.labels.width import ALIKE
from emms.moments.rows import RowFile, blocks
from emms.store import Key, Meta, Store
from emms.store.digests import FileDigests

FILE = "label_embeddings.parquet"
WINDOW = 4_096
"""Texts that an encoder gets at a time; it embeds those of similar length together."""


class LabelsMeta(Meta):
    """Metadata of label embeddings."""

    encoder: str
    texts: int
    width: int
    lines: int
    """How many different lines of text were embedded."""
    truncated: int
    """How many lines were cut off, since they are longer than the encoder can read."""
    unknown: int
    """How many texts the encoder knows nothing of."""

    def notes(self) -> list[str]:
        """Return warnings about texts that were not embedded as they are."""
        notes = []
        if self.truncated:
            notes.append(
                f"label encoder '{self.encoder}' has cut off {self.truncated:,} of {self.lines:,} label texts, which "
                f"are longer than it can read; shorten them, or use an encoder that reads longer texts"
            )
        if self.unknown:
            notes.append(
                f"label encoder '{self.encoder}' knows none of the words of {self.unknown:,} of {self.texts:,} labels, "
                f"which have the mean embedding of the others; check them, or use an encoder with subword tokens, such "
                f"as packaged:all-minilm-l6-v2"
            )
        return notes


class LabelsKey(Key):
    """Key of the embeddings of texts, in this order, by one encoder."""

    kind: ClassVar[str] = "labels"
    version: ClassVar[int] = 3
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

    A text of several lines is embedded as the mean of its lines. Each different line is embedded once. Memory is that
    of the texts and of one window of embeddings; all embeddings are in a temporary file before they are stored.

    classes: whether each text is a class, so that no two may have the same embedding, and none may be unknown to the
    encoder. Otherwise, lines that it does not know are left out; a text without others gets the mean embedding, by
    which it neither helps nor hurts a network.
    Raises LabelEncoderError if a text is empty, if the encoder fails, does not return one finite vector per text, or
    knows no text at all, and StoreError if the store or the temporary folder is full.
    """
    lines = Lines(texts)
    known = encoder.known(lines.distinct)
    if not known.any() or (classes and not known.all()):
        raise _unknown(encoder, [line for line, is_known in zip(lines.distinct, known, strict=True) if not is_known])
    cut_before = encoder.truncated
    given = [line for line, is_known in zip(lines.distinct, known, strict=True) if is_known]
    # Classes are few enough to be embedded together, and are compared with each other.
    embedded, mean = _embedded(encoder, given, device, len(given) if classes else WINDOW)
    if classes:
        _check_different(encoder, given, embedded[:])
    width, unknown = embedded.shape[1], 0
    schema = pa.schema({"text": pa.string(), "embedding": pa.list_(pa.float32(), width)})
    with store.create(key) as draft:
        with draft.row_groups(FILE, schema) as write:
            for rows in blocks(len(texts)):
                embeddings, without = lines.means(rows, embedded, known)
                embeddings[without] = mean
                unknown += int(without.sum())
                lists = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), width)
                write(pa.table([pa.array(texts[rows], pa.string()), lists], schema=schema))
        draft.meta = LabelsMeta(
            encoder=encoder.name,
            texts=len(texts),
            width=width,
            lines=len(lines.distinct),
            truncated=encoder.truncated - cut_before,
            unknown=unknown,
        )


def _embedded(encoder: LabelEncoder, lines: Sequence[str], device: str, window: int) -> tuple[RowFile, np.ndarray]:
    """Return the embeddings of lines and their mean, (width,)."""
    parts = (lines[start : start + window] for start in range(0, len(lines), window))
    first = _checked(encoder, next(parts), device)
    embedded, total = RowFile(first.shape[1]).append(first), first.sum(axis=0, dtype=np.float64)
    for part in parts:
        encoded = _checked(encoder, part, device, first.shape[1])
        embedded.append(encoded)
        total += encoded.sum(axis=0, dtype=np.float64)
    return embedded, total / len(lines)


def _checked(encoder: LabelEncoder, texts: Sequence[str], device: str, width: int | None = None) -> np.ndarray:
    """Return the embeddings of texts, (len(texts), width) float32."""
    embeddings = np.ascontiguousarray(encoder.encode(texts, device), dtype=np.float32)
    if embeddings.ndim != 2 or embeddings.shape != (len(texts), width or max(embeddings.shape[1], 1)):
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' returns an array of shape {embeddings.shape} for {len(texts)} texts; "
            f"it must return one row per text, always of the same width, so fix it or use another"
        )
    not_finite = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(not_finite):
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' returns nan or infinity for {len(not_finite)} of {len(texts)} texts, the "
            f"first '{printable(texts[not_finite[0]])}'; its weights may be damaged, so download them again or use "
            f"another encoder"
        )
    return embeddings


def _unknown(encoder: LabelEncoder, texts: Sequence[str]) -> LabelEncoderError:
    others = [f"'{printable(text)}'" for text in texts[1:6]]
    more = f" (and of {', '.join(others)}{', …' if len(texts) > 6 else ''})" if others else ""
    return LabelEncoderError(
        f"label encoder '{encoder.name}' knows none of the words of '{printable(texts[0])}'{more}: "
        f"{encoder.why_unknown(texts[0])}; names of classes can be replaced by `class_names:` of the dataset"
    )


def _check_different(encoder: LabelEncoder, texts: Sequence[str], embeddings: np.ndarray) -> None:
    """Raise LabelEncoderError if two different classes have the same embedding up to rounding."""
    # Equal rows have equal products with a random vector, so they are neighbours in this order.
    order = np.argsort(embeddings @ np.random.default_rng(0).standard_normal(embeddings.shape[1]), kind="stable")
    distances = np.linalg.norm(np.diff(embeddings[order].astype(np.float64), axis=0), axis=1)
    # The median, since the largest may be an outlier; it is zero if embeddings are sparse: then only equal rows count.
    for i in np.flatnonzero(distances <= ALIKE * np.sqrt(embeddings.shape[1]) * np.median(np.abs(embeddings))):
        one, other = sorted((texts[order[i]], texts[order[i + 1]]))
        raise LabelEncoderError(
            f"label encoder '{encoder.name}' cannot tell '{printable(one)}' from '{printable(other)}': "
            f"{encoder.why_alike(one, other)}; give one of the classes another name, or use another encoder"
        )
