"""Listing samples: their tables, their fingerprint, and samples that are left out."""

import os
import shutil
import sys
import time
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.digits import Digits
from emms.datasets.imagefolder import ImageFolder
from emms.datasets.parquet import ParquetImages
from emms.datasets.samples import Samples, SamplesKey, Skipped, confirm, list_samples, unreadable
from emms.datasets.textfolder import TextFolder
from emms.downstream import downstream
from emms.downstream.image_classification import ImageSample
from emms.downstream.own_labels import OwnLabels
from emms.errors import DatasetError, StoreError
from emms.store import Store

CLASSES = downstream("image-classification")


class Captions(OwnLabels):
    name, sample, throughput, metric = "captions", ImageSample, "img/s", "CIDEr"


def prepare(dataset, store, *, task=CLASSES, limit=None, seed=0, on_bad_sample="stop"):
    if not isinstance(dataset, Dataset):
        dataset = ImageFolder(path=dataset)
    return list_samples(dataset, task, store, limit=limit, seed=seed, on_bad_sample=on_bad_sample)[0]


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def photos(tmp_path):
    for label, count in {"cat": 6, "dog": 4, "horse": 2}.items():
        for i in range(count):
            put(tmp_path / "photos" / label / f"{i}.png", i)
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


class Opened:
    """The files below a folder that were opened for reading, recorded by an audit hook."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.files: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and self.folder and str(args[0]).startswith(self.folder):
            self.files.append(args[0])


opened = Opened()


@pytest.fixture
def opened_below():
    """Return a function that starts to record the files opened below a folder."""

    def listen(folder):
        opened.folder, opened.files = f"{folder}/", []
        return opened.files

    yield listen
    opened.folder = None


def test_one_sample_per_class_is_warned_of(photos, store):
    assert prepare(photos, store, limit=5).notes == ()
    (note,) = prepare(photos, store, limit=3).notes
    assert "each of the 3 classes has one sample" in note
    assert "raise `limit`" in note


def test_samples_and_labels(photos, store):
    samples = prepare(photos, store)
    assert (samples.count, samples.labels, samples.skipped) == (12, 3, None)
    assert samples.label_names(store) == ["cat", "dog", "horse"]
    table = samples.table(store)
    assert table.columns == ["id", "label", "position", "digest"]
    assert table.row(6)[:3] == ("dog/0.png", 1, 0)
    assert table["digest"].str.len_chars().unique().to_list() == [64]
    np.testing.assert_array_equal(samples.label_index(store), [0] * 6 + [1] * 4 + [2] * 2)
    dataset = ImageFolder(path=photos)
    assert samples.records(dataset, store).drop("digest").to_dicts() == dataset.listing().samples.to_dicts()


def test_samples_survive_json(photos, store):
    samples = prepare(photos, store).left_out([Skipped(row=1, id="cat/1.png", reason="empty")], CLASSES, store)
    assert Samples.model_validate_json(samples.model_dump_json()) == samples
    assert len(samples.model_dump_json()) < 1000


def test_a_store_in_memory(photos):
    store = Store("memory://test-prepare")
    assert prepare(photos, store) == prepare(photos, store)
    assert len(prepare(photos, store).table(store)) == 12


def test_listing_decodes_nothing_and_opens_files_only_the_first_time(photos, store, opened_below, monkeypatch):
    monkeypatch.setattr(ImageFolder, "load", lambda *_: pytest.fail("decoded"))
    time.sleep(2.2)  # digests of files that were just written are not cached
    files = opened_below(photos)
    first = prepare(photos, store)
    assert sorted(files) == sorted(set(files))  # each is read once, for its digest
    assert len(files) == 12
    files.clear()
    assert prepare(photos, store) == first
    assert files == []


def test_the_fingerprint_does_not_depend_on_place_and_time(photos, store, tmp_path):
    before = prepare(photos, store)
    for path in photos.rglob("*.png"):
        os.utime(path)
    assert prepare(photos, store) == before
    moved = tmp_path / "elsewhere" / "photos"
    shutil.move(photos, moved)
    assert prepare(moved, store) == before
    assert prepare(moved, Store(f"{tmp_path}/another")) == before


def test_records_have_the_current_paths_of_files(photos, store, tmp_path):
    prepared = prepare(photos, store)
    shutil.move(photos, tmp_path / "moved")
    dataset = ImageFolder(path=tmp_path / "moved")
    records = prepared.records(dataset, store).to_dicts()
    assert [dataset.load(record).id for record in records] == prepared.table(store)["id"].to_list()
    (tmp_path / "moved" / "dog" / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"'dog/1.png' was removed after"):
        prepared.records(dataset, store).to_dicts()


def change_a_pixel(photos):
    put(photos / "cat" / "0.png", 77)


def change_a_label(photos):
    os.rename(photos / "cat" / "0.png", photos / "dog" / "zero.png")


def change_a_class_name(photos):
    os.rename(photos / "cat", photos / "cats")


def swap_two_images(photos):
    os.rename(photos / "cat" / "0.png", photos / "kept.png")
    os.rename(photos / "cat" / "1.png", photos / "cat" / "0.png")
    os.rename(photos / "kept.png", photos / "cat" / "1.png")


def add_an_image(photos):
    put(photos / "cat" / "10.png", 0)


def remove_an_image(photos):
    (photos / "cat" / "0.png").unlink()


@pytest.mark.parametrize(
    "change",
    [change_a_pixel, change_a_label, change_a_class_name, swap_two_images, add_an_image, remove_an_image],
)
def test_the_fingerprint_changes_with(change, photos, store):
    before = prepare(photos, store)
    change(photos)
    after = prepare(photos, store)
    assert after.fingerprint != before.fingerprint
    # Features depend on the contents of samples, not on the names of labels.
    assert (after.contents == before.contents) == (change is change_a_class_name)


def test_the_fingerprint_changes_with_a_label_in_a_table(tmp_path, store):
    path = tmp_path / "labels.parquet"
    put(tmp_path / "a.png", 0)
    put(tmp_path / "b.png", 1)

    def fingerprint(labels, **settings):
        pl.DataFrame({"image": ["a.png", "b.png", "a.png"], "label": labels}).write_parquet(path)
        return prepare(ParquetImages(path=path, **settings), store).fingerprint

    prints = [
        fingerprint([0, 1, 1]),
        fingerprint([0, 1, 0]),
        fingerprint([0, 1, 1], class_names=["no", "yes"]),
        fingerprint([0, 1, 1], class_names=["no", "maybe"]),
        fingerprint(["0", "1", "1"]) + " is text, which says the same",
    ]
    assert len(set(prints)) == 5
    put(tmp_path / "b.png", 2)
    assert fingerprint([0, 1, 1]) not in prints


def test_limit_is_stratified_and_seeded(photos, store):
    small = prepare(photos, store, limit=6)
    assert np.bincount(small.label_index(store)).tolist() == [3, 2, 1]
    assert prepare(photos, store, limit=6) == small
    assert len({prepare(photos, store, limit=6, seed=seed).fingerprint for seed in range(5)}) > 1
    assert prepare(photos, store, limit=12, seed=3) == prepare(photos, store)
    with pytest.raises(DatasetError, match="limit 2 is below the number of classes, 3"):
        prepare(photos, store, limit=2)


def test_the_digest_of_a_shard_does_not_depend_on_later_samples(photos, store):
    before = prepare(photos, store).shard_contents(store, 5, frozenset({"image"}))
    assert len(before) == 3
    put(photos / "dog" / "0.png", 77)  # the seventh
    after = prepare(photos, store).shard_contents(store, 5, frozenset({"image"}))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    (photos / "dog" / "0.png").unlink()
    assert prepare(photos, store).shard_contents(store, 5, frozenset({"image"}))[0] == before[0]


def test_samples_that_cannot_be_read_are_described():
    skipped = [Skipped(row=i, id=f"cat/{i}.png", reason="empty (0 bytes); restore it") for i in range(7)]
    lines = str(unreadable(skipped, 13, "\n(2 more samples were not looked at)")).splitlines()
    assert lines == [
        "7 of 13 samples cannot be read:",
        *(f"  cat/{i}.png: empty (0 bytes); restore it" for i in range(5)),
        "  and 2 more",
        "(2 more samples were not looked at)",
        "fix or remove them, or leave them out with `on_bad_sample: skip`",
    ]


def test_skipped_samples_are_remembered_and_still_stop_other_runs(photos, store):
    samples = prepare(photos, store, on_bad_sample="skip")
    kept = samples.left_out([Skipped(row=2, id="cat/2.png", reason="damaged")], CLASSES, store)
    assert kept.count == 11
    np.testing.assert_array_equal(kept.label_index(store), [0] * 5 + [1] * 4 + [2] * 2)
    assert prepare(photos, store, on_bad_sample="skip") == kept
    with pytest.raises(DatasetError, match=r"1 of 12 samples.*\n  cat/2.png: damaged"):
        prepare(photos, store)


def test_a_class_without_remaining_samples(photos, store):
    samples = prepare(photos, store, on_bad_sample="skip")
    skipped = [Skipped(row=10 + i, id=f"horse/{i}.png", reason="empty") for i in range(2)]
    with pytest.raises(DatasetError, match=r"class 'horse' has no sample left, since 2 of 12 samples.*\n  horse/0.png"):
        samples.left_out(skipped, CLASSES, store)


def test_a_file_that_changes_or_is_removed_during_the_run_raises(photos, store):
    dataset, began = ImageFolder(path=photos), time.time_ns()
    records = prepare(photos, store).records(dataset, store).to_dicts()
    confirm(records, began)
    os.utime(photos / "cat" / "0.png")  # read again, and found the same
    confirm(records, began)
    put(photos / "cat" / "0.png", 77)
    with pytest.raises(DatasetError, match=r"'cat/0.png' has changed since the run began"):
        confirm(records, began)
    (photos / "cat" / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"'cat/0.png' has changed since the run began \(No such file"):
        confirm(records, began)


def test_duplicate_images_and_unusual_names(photos, store):
    shutil.copytree(photos / "cat", photos / "猫\n“{label}”")
    prepared = prepare(photos, store)
    assert (prepared.count, prepared.labels) == (18, 4)
    assert prepared.label_names(store)[-1] == "猫\n“{label}”"


def test_a_damaged_artifact_is_written_again(photos, store):
    prepared = prepare(photos, store)
    key = SamplesKey(fingerprint=prepared.fingerprint)
    table = store.find(key).files["samples.parquet"].file
    store.fs.rm_file(f"{store.path(key)}/{table}")
    with pytest.raises(StoreError, match="was removed from store"):
        prepared.table(store)
    assert prepare(photos, store) == prepared
    assert len(prepared.table(store)) == 12


def test_a_subsample_of_own_labels_is_drawn_by_seed(store):
    made = Made(names=[f"caption {i}" for i in range(50)], labels=range(50), ids=[str(i) for i in range(50)])
    few = prepare(made, store, task=Captions(), limit=20)
    assert few == prepare(made, store, task=Captions(), limit=20)
    assert (few.count, few.labels) == (20, 20)  # captions of other samples are not embedded
    assert few.label_names(store)[3] == "caption " + few.table(store)["id"][3]
    assert few.fingerprint != prepare(made, store, task=Captions(), limit=20, seed=1).fingerprint


def test_digits(store):
    prepared = prepare(Digits(), store, limit=100)
    assert (prepared.count, prepared.labels) == (100, 10)


class Made(Dataset):
    """A dataset with an arbitrary listing."""

    format: Literal["made"] = "made"
    names: tuple[str, ...] = ("a", "b")
    labels: tuple[int, ...] = (0, 1)
    ids: tuple[str, ...] = ("x", "y")

    def listing(self):
        samples = {"id": self.ids, "label": self.labels, "path": __file__, "position": 0}
        return Listing(pl.DataFrame(samples, LISTING), list(self.names))

    def load(self, record):
        return ImageSample(record["id"], Image.new("RGB", (1, 1)))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"labels": [], "ids": []}, "no samples"),
        ({"names": ["a", "b", "c"]}, "class 'c' has no sample; add some"),
        ({"ids": ["x", "x"]}, "sample id 'x' occurs twice"),
    ],
)
def test_invalid_listings_raise(said, message, store):
    with pytest.raises(DatasetError, match=message):
        prepare(Made(**said), store)


def test_optional_fields_that_a_listing_lacks_are_filled_in(store, tmp_path):
    for name in ("sports", "music"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        (tmp_path / "texts" / name / "1.txt").write_text(f"about {name}")
    samples = prepare(TextFolder(path=tmp_path / "texts"), store, task=downstream("text-classification"))
    assert samples.table(store)["context"].to_list() == ["", ""]
    assert not samples.in_files(frozenset({"text", "context"}))  # so that no file is read for networks of texts
