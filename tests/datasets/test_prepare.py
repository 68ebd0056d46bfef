"""Preparing a dataset: which samples there are, that they decode, and a fingerprint that knows them again."""

import json
import os
import shutil
import sys
import time
import warnings
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing, Sample
from emms.datasets.digits import Digits
from emms.datasets.imagefolder import ImageFolder
from emms.datasets.parquet import ParquetImages
from emms.datasets.prepare import Prepared
from emms.datasets.prepare import prepare as prepare_dataset
from emms.errors import DatasetError, StoreError
from emms.progress import Silent, listener
from emms.store import Store


def prepare(dataset, store, *, limit=None, seed=0, on_bad_sample="stop", progress=None):
    if not isinstance(dataset, Dataset):
        dataset = ImageFolder(path=dataset)
    return prepare_dataset(dataset, store, limit=limit, seed=seed, on_bad_sample=on_bad_sample, progress=progress)


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


def spoil(path):
    path.write_bytes(path.read_bytes()[:-100])


class Opened:
    """The files under a folder that were opened to be read, as the interpreter tells its auditors."""

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
    """Start listening for files being opened below a folder; the list fills as they are."""

    def listen(folder):
        opened.folder, opened.files = f"{folder}/", []
        return opened.files

    yield listen
    opened.folder = None


@pytest.mark.parametrize(("limit", "remedy"), [(3, "raise `limit`"), (None, "add samples")])
def test_one_sample_a_class_is_warned_of(photos, store, limit, remedy):
    class Listens(Silent):
        warnings: list[str]

        def warn(self, message: str) -> None:
            self.warnings.append(message)

    listens = Listens()
    token = listener.set(listens)
    try:
        listens.warnings = []
        prepare(photos, store, limit=5)
        assert listens.warnings == []
        if limit is None:
            for image in [*photos.glob("*/[1-9].png")]:
                image.unlink()
        prepare(photos, store, limit=limit)
    finally:
        listener.reset(token)
    (warning,) = listens.warnings
    assert "each of the 3 classes has one sample" in warning
    assert remedy in warning


def test_samples_and_labels(photos, store):
    prepared = prepare(photos, store)
    assert (prepared.count, prepared.classes, prepared.skipped) == (12, 3, [])
    assert prepared.labels(store) == ["cat", "dog", "horse"]
    samples = prepared.samples(store)
    assert samples.columns == ["id", "label", "position", "digest", "text"]
    assert samples.row(6)[:3] == ("dog/0.png", 1, 0)
    assert samples["text"].to_list() == ["cat"] * 6 + ["dog"] * 4 + ["horse"] * 2
    assert samples["digest"].str.len_chars().unique().to_list() == [64]
    np.testing.assert_array_equal(prepared.label_index(store), [0] * 6 + [1] * 4 + [2] * 2)
    dataset = ImageFolder(path=photos)
    assert prepared.records(dataset, store).drop("digest").to_dicts() == dataset.listing().samples.to_dicts()


def test_it_goes_through_json_and_back(photos, store):
    spoil(photos / "cat" / "0.png")
    prepared = prepare(photos, store, on_bad_sample="skip")
    assert Prepared.model_validate_json(prepared.model_dump_json()) == prepared
    assert len(prepared.model_dump_json()) < 1000


def test_a_store_in_memory(photos):
    store = Store("memory://test-prepare")
    assert prepare(photos, store) == prepare(photos, store)
    assert len(prepare(photos, store).samples(store)) == 12


def test_the_second_time_no_file_is_opened(photos, store, opened_below):
    time.sleep(2.2)  # digests of files that have just been written are not remembered
    files, seen = opened_below(photos), []
    first = prepare(photos, store, progress=lambda done, total: seen.append((done, total)))
    assert len(set(files)) == 12
    assert seen == [(i, 12) for i in range(1, 13)]
    files.clear()
    assert prepare(photos, store, progress=lambda done, total: seen.append(None)) == first
    assert files == []
    assert None not in seen


def test_the_fingerprint_stays_when_nothing_but_place_and_time_changes(photos, store, tmp_path):
    before = prepare(photos, store)
    for path in photos.rglob("*.png"):
        os.utime(path)
    assert prepare(photos, store) == before
    moved = tmp_path / "elsewhere" / "photos"
    shutil.move(photos, moved)
    assert prepare(moved, store) == before
    assert prepare(moved, Store(f"{tmp_path}/another")) == before


def test_records_are_where_the_files_are_now(photos, store, tmp_path):
    prepared = prepare(photos, store)
    shutil.move(photos, tmp_path / "moved")
    dataset = ImageFolder(path=tmp_path / "moved")
    records = prepared.records(dataset, store).to_dicts()
    assert [dataset.load(record).id for record in records] == prepared.samples(store)["id"].to_list()
    (tmp_path / "moved" / "dog" / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"'dog/1.png' has gone since"):
        prepared.records(dataset, store).to_dicts()


def change_a_pixel(photos):
    put(photos / "cat" / "0.png", 77)


def change_a_label(photos):
    os.rename(photos / "cat" / "0.png", photos / "dog" / "zero.png")


def change_a_class_name(photos):
    os.rename(photos / "cat", photos / "kitten")


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
    assert after.key != before.key


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


def test_bad_samples_stop_with_their_names_and_reasons(photos, store):
    for i in range(4):
        spoil(photos / "cat" / f"{i}.png")
    (photos / "dog" / "0.png").write_bytes(b"")
    (photos / "dog" / "1.png").write_text("no image")
    (photos / "dog" / "link.png").symlink_to("nowhere")
    with pytest.raises(DatasetError) as caught:
        prepare(photos, store)
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 of 13 samples cannot be read:"
    assert lines[1].startswith("  cat/0.png: truncated or damaged (")
    assert lines[5] == "  dog/0.png: empty (0 bytes); restore it from its source"
    assert lines[6:] == [
        "  and 2 more",
        "mend or remove them, or leave them out with `on_bad_sample: skip`",
    ]


def test_bad_samples_are_left_out_and_recorded(photos, store):
    spoil(photos / "cat" / "2.png")
    prepared = prepare(photos, store, on_bad_sample="skip")
    assert prepared.count == 11
    assert [bad.id for bad in prepared.skipped] == ["cat/2.png"]
    assert "damaged" in prepared.skipped[0].reason
    assert "cat/2.png" not in prepared.samples(store)["id"]
    assert json.loads(json.dumps(store.find("samples", prepared.key).meta))["skipped"][0]["id"] == "cat/2.png"
    # What was skipped once still stops whoever wants to be stopped, …
    assert prepare(photos, store, on_bad_sample="skip") == prepared
    with pytest.raises(DatasetError, match=r"1 of 12 samples.*\n  cat/2.png"):
        prepare(photos, store)
    # … and the samples that are left are the same as if it had never been there.
    (photos / "cat" / "2.png").unlink()
    assert prepare(photos, store).fingerprint == prepared.fingerprint


def test_a_class_with_no_sample_left(photos, store):
    for path in (photos / "horse").iterdir():
        spoil(path)
    with pytest.raises(DatasetError, match=r"class 'horse' has no sample left, since 2 of 12 samples.*\n  horse/0.png"):
        prepare(photos, store, on_bad_sample="skip")


def test_an_image_of_two_hundred_million_pixels(photos, store):
    Image.new("1", (20_000, 10_000)).save(photos / "cat" / "huge.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DatasetError, match=r"cat/huge.png: too large .*; scale it down"):
            prepare(photos, store)


def test_duplicate_images_and_weird_names_are_fine(photos, store):
    shutil.copytree(photos / "cat", photos / "猫\n“{label}”")
    prepared = prepare(photos, store)
    assert (prepared.count, prepared.classes) == (18, 4)
    assert prepared.labels(store)[-1] == "猫\n“{label}”"


def test_the_artifact_is_made_anew_when_it_is_damaged(photos, store):
    prepared = prepare(photos, store)
    table = store.find("samples", prepared.key).files["samples.parquet"]["file"]
    store.fs.rm_file(f"{store.path('samples', prepared.key)}/{table}")
    with pytest.raises(StoreError, match="have gone from store"):
        prepared.samples(store)
    assert prepare(photos, store) == prepared
    assert len(prepared.samples(store)) == 12


def test_digits(store):
    prepared = prepare(Digits(), store, limit=100)
    assert (prepared.count, prepared.classes) == (100, 10)


class Made(Dataset):
    """A dataset of one image that says whatever a test wants it to say."""

    format: Literal["made"] = "made"
    names: tuple[str, ...] = ("a", "b")
    labels: tuple[int, ...] = (0, 1)
    ids: tuple[str, ...] = ("x", "y")

    def listing(self):
        samples = {"id": self.ids, "label": self.labels, "path": __file__, "position": 0}
        return Listing(pl.DataFrame(samples, LISTING), list(self.names))

    def load(self, record):
        return Sample(record["id"], Image.new("RGB", (1, 1)))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"names": ["a"], "labels": [0, 0]}, r"only one class \('a'\)"),
        ({"labels": [], "ids": []}, "no samples"),
        ({"names": ["a", "b", "c"]}, "class 'c' has no sample; add some"),
        ({"names": [" a", "a "]}, "class names ' a' and 'a ' are the same; rename or merge"),
        ({"names": ["a", "\t"]}, r"class name '\\t' is blank"),
        ({"ids": ["x", "x"]}, "sample id 'x' occurs twice"),
    ],
)
def test_listings_that_cannot_be_used(said, message, store):
    with pytest.raises(DatasetError, match=message):
        prepare(Made(**said), store)
