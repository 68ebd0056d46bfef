"""The samples of a run: listed, selected, and identified by the digests of their files.

No sample is decoded here. A sample that cannot be read is found when the first networks need it; it then stops the
run, or is left out for every candidate.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields as fields_of
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.selection import stratified
from emms.downstream import Downstream
from emms.errors import DatasetError, StoreError, printable
from emms.store import Key, Meta, Store, digest
from emms.store.digests import SETTLED_NS, FileDigests, sha256_of

READING_VERSION = 2
"""Version of the code that reads samples. Raise it if `Dataset.load` returns something else for the same file."""

_SAMPLES, _LABELS = "samples.parquet", "labels.parquet"
_CHUNK = 4096  # rows hashed at once, to bound memory
_SHOWN = 5  # samples named in a message


class Skipped(BaseModel):
    """A sample that cannot be read: its row among the listed samples, its id, and the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int
    id: str
    reason: str


class SamplesKey(Key):
    """Key of the tables of a listing: its samples and its labels."""

    kind: ClassVar[str] = "samples"
    version: ClassVar[int] = 3

    fingerprint: str

    def file_names(self) -> tuple[str, ...]:
        """Return the names of both tables."""
        return _SAMPLES, _LABELS


class UnreadableMeta(Meta):
    """The samples that cannot be read."""

    skipped: list[Skipped]


class UnreadableKey(Key):
    """Key of the list of samples that cannot be read, which is known once every sample has been decoded."""

    kind: ClassVar[str] = "unreadable"
    version: ClassVar[int] = 1
    meta: ClassVar[type[Meta]] = UnreadableMeta

    contents: str


class Samples(BaseModel):
    """Reference to the samples of a dataset, small and JSON-serialisable; the tables are in the store."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    """Digest of the samples, their contents and labels; independent of where the files are."""
    contents: str
    """Digest of what is read from the samples' files, independent of their labels."""
    reading: dict[str, Any]
    """The settings that determine what is read from a file."""
    fields: tuple[str, ...] = ()
    """The fields of a sample that are in the listing, such as `text`, rather than in a file."""
    listed: int
    labels: int
    """Number of different labels."""
    skipped: tuple[Skipped, ...] | None = None
    """Samples that cannot be read and are left out; None until every sample has been decoded."""
    notes: tuple[str, ...] = ()
    """Warnings."""

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def count(self) -> int:
        """How many samples there are, without those that are left out."""
        return self.listed - len(self.skipped or ())

    @property
    def identity(self) -> str:
        """Digest of the samples that are not left out, their contents and labels."""
        left_out = [bad.row for bad in self.skipped or ()]
        return digest([self.fingerprint, left_out]) if left_out else self.fingerprint

    def groups(self, store: Store, field: str | None) -> np.ndarray:
        """Return a number for each sample that is not left out, (count,), equal for samples that are held out together.

        These are samples of the same position of files with the same contents, and samples with an equal `field`.
        """
        table = self.table(store)
        in_files = (table["digest"] != "").any() or (table["position"] != 0).any()
        by = [field] if field in self.fields else ["digest", "position"] if in_files else ["id"]
        groups = table.select(pl.struct(by).rank("dense")).to_series().to_numpy()
        return np.delete(groups, [bad.row for bad in self.skipped or ()])

    def in_files(self, reads: frozenset[str]) -> bool:
        """Return whether some of these fields of a sample have to be read from its file."""
        return not reads <= {"id", *self.fields}

    def table(self, store: Store) -> pl.DataFrame:
        """Return all listed samples: `id`, `label`, `position` and fields as in a listing, `digest` of the file.

        Raises StoreError if the artifact is no longer in the store.
        """
        return self._table(store, _SAMPLES)

    def label_names(self, store: Store) -> list[str]:
        """Return the labels in the order of their indices. Raises StoreError as `table` does."""
        return self._table(store, _LABELS)["text"].to_list()

    def label_index(self, store: Store) -> np.ndarray:
        """Return the label of each sample that is not left out, (count,), int32. Raises StoreError as `table` does."""
        return np.delete(self.table(store)["label"].to_numpy(), [bad.row for bad in self.skipped or ()])

    def contents_of(self, store: Store, reads: frozenset[str]) -> str:
        """Return the digest of these fields of all samples."""
        return self.shard_contents(store, max(self.listed, 1), reads)[0]

    def shard_contents(self, store: Store, rows: int, reads: frozenset[str]) -> list[str]:
        """Return the digest of these fields for each shard of `rows` samples."""
        return list(_shard_contents(self, store, rows, reads))

    def records(self, dataset: Dataset, store: Store) -> pl.DataFrame:
        """Return the listed samples as rows of the dataset's listing, each with the digest of its file.

        The paths come from a new listing: the folder may have moved since, or this may be another machine.
        Raises DatasetError if a sample was removed or changed, StoreError as `table` does.
        """
        paths = dataset.listing().samples.select("id", "path")
        rows = self.table(store).join(paths, "id", "left", maintain_order="left")
        removed = rows.filter(pl.col("path").is_null())["id"]
        if len(removed):
            raise DatasetError(f"sample '{removed[0]}' was removed after the run began; restore it, or run again")
        changed = rows.filter(pl.col("digest") != _digests(rows["path"], store))["id"]
        if len(changed):
            raise _changed(changed[0])
        return rows.select(*LISTING.names(), *self.fields, "digest")

    def left_out(self, skipped: Sequence[Skipped], task: Downstream, store: Store) -> Samples:
        """Return the samples without those that cannot be read, and write the list of the latter to the store.

        Raises DatasetError if a label has no sample left.
        """
        if skipped:
            counts = np.bincount(
                np.delete(self.table(store)["label"].to_numpy(), [bad.row for bad in skipped]), minlength=self.labels
            )
            task.check(self.label_names(store), counts, f" left, since {describe(skipped, self.listed)}")
        key = UnreadableKey(contents=self.contents)
        if store.find(key) is None:
            with store.create(key) as draft:
                draft.meta = UnreadableMeta(skipped=list(skipped))
        return self.model_copy(update={"skipped": tuple(skipped)})

    def _table(self, store: Store, name: str) -> pl.DataFrame:
        artifact = store.find(SamplesKey(fingerprint=self.fingerprint))
        if artifact is None:
            raise StoreError(f"the list of samples was removed from store '{store.url}' during the run; run again")
        return pl.DataFrame(artifact.table(name))


def list_samples(
    dataset: Dataset,
    task: Downstream,
    store: Store,
    *,
    limit: int | None,
    seed: int,
    on_bad_sample: Literal["stop", "skip"],
) -> tuple[Samples, bool]:
    """List a dataset and select at most `limit` samples by `seed`; return them, and whether they are new to the store.

    The digests of unchanged files are remembered, so that files are read only the first time.
    Raises DatasetError if the dataset cannot be used, or, with `on_bad_sample="stop"`, if an earlier run has found a
    sample that cannot be read.
    """
    listing = dataset.listing()
    rows, labels = _selected(listing, task, limit, seed)
    rows = rows.with_columns(default for default in _defaults(task) if default.meta.output_name() not in rows.columns)
    rows = rows.with_columns(digest=_digests(rows["path"], store))
    reading = {"version": READING_VERSION, **dataset.reading()}
    fields = tuple(name for name in rows.columns if name not in (*LISTING, "digest"))
    contents = _contents(rows, reading, None)
    rows_digest = _hash_of(rows.select("id", "label", *fields))
    samples = Samples(
        # Without paths: a dataset that was moved is the same dataset.
        fingerprint=digest({"contents": contents, "samples": rows_digest, "labels": labels}),
        contents=contents,
        reading=reading,
        fields=fields,
        listed=len(rows),
        labels=len(labels),
        notes=(*listing.notes, *task.notes(labels, len(rows))),
    )
    key = SamplesKey(fingerprint=samples.fingerprint)
    new = store.find(key) is None
    if new:
        with store.create(key) as draft:
            draft.table(_SAMPLES, rows.drop("path").to_arrow())
            draft.table(_LABELS, pl.DataFrame({"text": labels}, {"text": pl.String}).to_arrow())
    known = store.find(UnreadableKey(contents=contents))
    if known is not None:
        ids = rows["id"]
        skipped = [bad.model_copy(update={"id": ids[bad.row]}) for bad in known.meta.skipped]
        if skipped and on_bad_sample == "stop":
            raise unreadable(skipped, len(rows))
        samples = samples.left_out(skipped, task, store)
    return samples, new


def confirm(records: Sequence[dict[str, Any]], since: int) -> None:
    """Raise DatasetError if the file of one of these records has changed after it was listed.

    since: a time in nanoseconds, as of `time.time_ns`; files without changes after it are not read.
    """
    digests: dict[str, str] = {}
    for record in records:
        path = record["path"]
        if path not in digests and record["digest"]:
            try:
                recent = os.stat(path).st_ctime_ns >= since - SETTLED_NS
                digests[path] = sha256_of(path) if recent else record["digest"]
            except OSError as cause:
                raise _changed(record["id"], f" ({cause.strerror})") from cause
        if digests.get(path, "") != record["digest"]:
            raise _changed(record["id"])


def unreadable(skipped: Sequence[Skipped], looked_at: int, more: str = "") -> DatasetError:
    """Return the error about samples that cannot be read, among `looked_at` samples."""
    return DatasetError(
        f"{describe(skipped, looked_at)}{more}\nfix or remove them, or leave them out with `on_bad_sample: skip`"
    )


def describe(skipped: Sequence[Skipped], total: int) -> str:
    """Return text that names up to five of the samples that cannot be read, with reasons."""
    lines = [
        f"{len(skipped)} of {total} samples cannot be read:",
        *(f"  {printable(bad.id)}: {printable(bad.reason, None)}" for bad in skipped[:_SHOWN]),
    ]
    return "\n".join(lines + ([f"  and {len(skipped) - _SHOWN} more"] if len(skipped) > _SHOWN else []))


def _defaults(task: Downstream) -> Iterator[pl.Expr]:
    """Yield columns with the defaults of the fields that a listing may lack: texts and integers."""
    for field in fields_of(task.sample):
        if isinstance(field.default, str | int):
            kind = pl.String if isinstance(field.default, str) else pl.Int64
            yield pl.lit(field.default, dtype=kind).alias(field.name)


def _selected(listing: Listing, task: Downstream, limit: int | None, seed: int) -> tuple[pl.DataFrame, list[str]]:
    """Return the listed samples, or a subsample, and the list of labels.

    Raises DatasetError if the listing is inconsistent.
    """
    rows, ids = listing.samples, listing.samples["id"]
    if not len(rows):
        raise DatasetError("the dataset has no samples; check its path and its settings")
    task.check(listing.labels, np.bincount(rows["label"].to_numpy(), minlength=len(listing.labels)))
    if ids.is_duplicated().any():
        raise DatasetError(f"sample id '{ids.filter(ids.is_duplicated())[0]}' occurs twice; ids must be unique")
    if limit is None or limit >= len(rows):
        return rows, listing.labels
    rng = np.random.default_rng(seed)
    if task.classes:
        return rows[stratified(rows["label"].to_numpy(), limit, rng)], listing.labels
    rows = rows[np.sort(rng.choice(len(rows), limit, replace=False))]
    used, index = np.unique(rows["label"].to_numpy(), return_inverse=True)
    return rows.with_columns(label=pl.Series(index, dtype=pl.Int32)), [listing.labels[label] for label in used]


def _changed(sample: str, why: str = "") -> DatasetError:
    return DatasetError(f"sample '{sample}' has changed since the run began{why}; run again once it stays unchanged")


def _digests(paths: pl.Series, store: Store) -> pl.Series:
    """Return the digest of each sample's file; empty for a file that cannot be opened, which decoding will report."""
    readable = [path for path in paths.unique() if os.path.isfile(path) and os.access(path, os.R_OK)]
    try:
        digests = FileDigests(store)(readable)
    except OSError as cause:
        raise DatasetError(f"'{cause.filename}' cannot be read: {cause.strerror}; fix it, or run again") from cause
    return paths.replace_strict(readable, digests, default="", return_dtype=pl.String)


@lru_cache(maxsize=16)  # once per run, since every stage asks for them, and a dataset may have millions of samples
def _shard_contents(samples: Samples, store: Store, rows: int, reads: frozenset[str]) -> tuple[str, ...]:
    return tuple(_contents(part, samples.reading, reads) for part in samples.table(store).iter_slices(rows))


def _contents(rows: pl.DataFrame, reading: dict[str, Any], reads: frozenset[str] | None) -> str:
    """Return the digest of fields of samples. reads: None for those in files."""
    fields = sorted(set(rows.columns) & (reads or set()) - {"path", "position", "label", "digest"})
    content: dict[str, Any] = {"fields": {name: _hash_of(rows.select(name)) for name in fields}} if fields else {}
    if reads is None or reads - set(fields):
        content |= {"rows": _hash_of(rows.select("position", "digest")), "reading": reading}
    return digest(content)


def _hash_of(rows: pl.DataFrame) -> str:
    hashing = hashlib.sha256()
    for part in rows.iter_slices(_CHUNK):
        hashing.update(json.dumps(part.rows()).encode())
    return hashing.hexdigest()
