"""From a dataset to the samples that every later stage works on: listed, selected, digested and known to decode."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.selection import stratified
from emms.errors import BadSampleError, DatasetError, StoreError
from emms.progress import listener
from emms.store import Store, address
from emms.store.digests import SETTLED_NS, FileDigests, sha256_of

VERSION = 1
"""Of what this stage computes, the pixels that `read_image` gives included. Raise it when one of them changes."""

_KIND = "samples"
_CHUNK = 4096  # samples handed to the threads at once, so that memory does not grow with the dataset


class Skipped(BaseModel):
    """A sample that was left out, and why."""

    model_config = ConfigDict(frozen=True)

    id: str
    reason: str


class Prepared(BaseModel):
    """A prepared dataset. Small, and JSON both ways; its tables are in the store."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    """Determines the samples, their pixels and their labels, wherever the files lie."""
    key: dict[str, Any]
    """The key of the artifact that holds the tables."""
    count: int
    classes: int
    skipped: list[Skipped]

    def samples(self, store: Store) -> pl.DataFrame:
        """Return the samples: `id`, `label`, `position` as in a listing, the file's `digest`, the label's `text`.

        Raises StoreError if the artifact has gone since.
        """
        return self._table(store, "samples.parquet")

    def labels(self, store: Store) -> list[str]:
        """Return what the labels say, in the order of their indices. Raises StoreError if the artifact has gone."""
        return self._table(store, "labels.parquet")["text"].to_list()

    def label_index(self, store: Store) -> np.ndarray:
        """Return each sample's label, (N,), int32. Raises StoreError if the artifact has gone."""
        return self.samples(store)["label"].to_numpy()

    def records(self, dataset: Dataset, store: Store) -> pl.DataFrame:
        """Return the samples as rows of the dataset's listing, to be loaded one by one, each with its file's digest.

        Where the files lie comes from a listing made now: the folder may have moved since, or this be another machine.
        Raises DatasetError if a sample has gone from the dataset or has changed, StoreError if the artifact has gone.
        """
        here = dataset.listing().samples.select("id", "path")
        rows = self.samples(store).join(here, "id", "left", maintain_order="left")
        gone = rows.filter(pl.col("path").is_null())["id"]
        if len(gone):
            raise DatasetError(f"sample '{gone[0]}' has gone since the dataset was prepared; restore it, or run again")
        changed = rows.filter(pl.col("digest") != _digests(rows["path"], store))["id"]
        if len(changed):
            raise _changed(changed[0])
        return rows.select(*LISTING.names(), "digest")

    def confirm(self, records: Sequence[dict[str, Any]], since: int) -> None:
        """Raise DatasetError if the file of one of these records is not the one that was prepared.

        since: a time, in nanoseconds of `time.time_ns`; files that have not changed after it are not read.
        """
        digests: dict[str, str] = {}
        for record in records:
            path = record["path"]
            if path not in digests:
                recent = os.stat(path).st_ctime_ns >= since - SETTLED_NS
                digests[path] = sha256_of(path) if recent else record["digest"]
            if digests[path] != record["digest"]:
                raise _changed(record["id"])

    def _table(self, store: Store, name: str) -> pl.DataFrame:
        found = store.find(_KIND, self.key)
        if found is None:
            raise StoreError(f"the samples have gone from store '{store.url}' since they were prepared; run again")
        return pl.DataFrame(found.table(name))


def prepare(
    dataset: Dataset,
    store: Store,
    *,
    limit: int | None,
    seed: int,
    on_bad_sample: Literal["stop", "skip"],
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """List a dataset, select at most `limit` samples by `seed`, and make sure that each of them decodes.

    The second time, nothing but the listing and the files' times is read. `progress` is called with the number of
    samples that were decoded and the number of all.
    Raises DatasetError if the dataset cannot be used, has fewer than two classes or a class without a sample, or, with
    `on_bad_sample="stop"`, if a sample cannot be read.
    """
    listing = dataset.listing()
    _check(listing)
    rows = listing.samples
    if limit is not None:
        rows = rows[stratified(rows["label"].to_numpy(), limit, np.random.default_rng(seed))]
    rows = rows.with_columns(
        digest=_digests(rows["path"], store),
        text=pl.col("label").replace_strict(range(len(listing.labels)), listing.labels, return_dtype=pl.String),
    )
    # Settings say how a file is read. Where it lies says nothing: a dataset that has moved is the same dataset.
    settings = dataset.model_dump(mode="json", exclude={"path"})
    key = {"version": VERSION, "samples": _fingerprint(rows, listing.labels, settings)}

    found = store.find(_KIND, key)
    skipped = _unreadable(dataset, rows, progress) if found is None else [Skipped(**s) for s in found.meta["skipped"]]
    if skipped and on_bad_sample == "stop":
        raise DatasetError(
            f"{_describe(skipped, len(rows))}\nmend or remove them, or leave them out with `on_bad_sample: skip`"
        )
    kept = rows.filter(~pl.col("id").is_in([bad.id for bad in skipped]))
    _check_classes(kept["label"], listing.labels, f" left, since {_describe(skipped, len(rows))}")
    if len(kept) == len(listing.labels):
        listener.get().warn(
            f"each of the {len(kept)} classes has one sample, which cannot show what its class has in common: scores "
            f"will say little; {'add samples' if limit is None else 'raise `limit`'} to have several a class"
        )
    if found is None:
        with store.create(_KIND, key) as draft:
            draft.meta["skipped"] = [bad.model_dump() for bad in skipped]
            draft.table("samples.parquet", kept.drop("path").to_arrow())
            draft.table("labels.parquet", _label_table(listing.labels).to_arrow())
    return Prepared(
        fingerprint=_fingerprint(kept, listing.labels, settings),
        key=key,
        count=len(kept),
        classes=len(listing.labels),
        skipped=skipped,
    )


def _changed(sample: str) -> DatasetError:
    return DatasetError(f"sample '{sample}' has changed since the run began; run again when the dataset is at rest")


def _check(listing: Listing) -> None:
    """Raise DatasetError if a listing is empty or contradicts itself."""
    names, ids = listing.labels, listing.samples["id"]
    if not len(ids):
        raise DatasetError("the dataset has no samples; check its path and its settings")
    if len(names) < 2:
        raise DatasetError(f"the dataset has only one class ('{names[0]}'); it takes two or more to rank networks")
    first: dict[str, str] = {}
    for name in names:
        if not name.strip():
            raise DatasetError(f"class name {name!r} is blank; give it a name that says what it is")
        if name.strip() in first:
            raise DatasetError(f"class names {first[name.strip()]!r} and {name!r} are the same; rename or merge one")
        first[name.strip()] = name
    _check_classes(listing.samples["label"], names, "; add some, or remove the class")
    if ids.is_duplicated().any():
        raise DatasetError(f"sample id '{ids.filter(ids.is_duplicated())[0]}' occurs twice; ids must be unique")


def _check_classes(labels: pl.Series, names: list[str], what: str) -> None:
    missing = sorted(set(range(len(names))) - set(labels))
    if missing:
        raise DatasetError(f"class '{names[missing[0]]}' has no sample{what}")


def _digests(paths: pl.Series, store: Store) -> pl.Series:
    """Return the digest of each sample's file; one that cannot be opened has none: decoding it will say why."""
    readable = [path for path in paths.unique() if os.path.isfile(path) and os.access(path, os.R_OK)]
    try:
        digests = FileDigests(store)(readable)
    except OSError as cause:
        raise DatasetError(f"'{cause.filename}' cannot be read: {cause.strerror}; mend it, or run again") from cause
    return paths.replace_strict(readable, digests, default="", return_dtype=pl.String)


def _fingerprint(rows: pl.DataFrame, labels: list[str], settings: dict[str, Any]) -> str:
    """Return the address of the samples, wherever they lie, of what the labels say, and of the settings."""
    hashing = hashlib.sha256()
    for part in rows.select("id", "label", "position", "digest").iter_slices(_CHUNK):
        hashing.update(json.dumps(part.rows()).encode())
    return address({"version": VERSION, "samples": hashing.hexdigest(), "labels": labels, "settings": settings})


def _unreadable(dataset: Dataset, rows: pl.DataFrame, progress: Callable[[int, int], None] | None) -> list[Skipped]:
    """Decode every sample once, in threads; return those that cannot be, in the order of `rows`."""

    def reason(record: dict[str, Any]) -> str | None:
        try:
            dataset.load(record)
        except BadSampleError as bad:
            return str(bad)
        return None

    skipped, done = [], 0
    pool = ThreadPoolExecutor()
    try:
        for part in rows.iter_slices(_CHUNK):
            for sample, bad in zip(part["id"], pool.map(reason, part.iter_rows(named=True)), strict=True):
                if bad is not None:
                    skipped.append(Skipped(id=sample, reason=bad))
                done += 1
                if progress is not None:
                    progress(done, len(rows))
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops the run does not wait for what has not begun
    return skipped


def _describe(skipped: list[Skipped], total: int) -> str:
    """Say which samples cannot be read and why, five of them at most."""
    lines = [
        f"{len(skipped)} of {total} samples cannot be read:",
        *(f"  {bad.id}: {bad.reason}" for bad in skipped[:5]),
    ]
    return "\n".join(lines + ([f"  and {len(skipped) - 5} more"] if len(skipped) > 5 else []))


def _label_table(labels: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"label": range(len(labels)), "text": labels}, {"label": pl.Int32, "text": pl.String})
