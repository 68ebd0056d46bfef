"""Captions with Karpathy's splits."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures


def sentence(raw, imgid, sentid):
    return {"tokens": raw.lower().split(), "raw": raw, "imgid": imgid, "sentid": sentid}


FLICKR8K = {
    "images": [
        {
            "sentids": [0, 1],
            "imgid": 0,
            "sentences": [sentence("A black dog .", 0, 0), sentence("The dog jumps .", 0, 1)],
            "split": "train",
            "filename": "2513260012_03d33305cf.jpg",
        },
        {
            "sentids": [2],
            "imgid": 1,
            "sentences": [sentence("Two kids café", 1, 2)],
            "split": "test",
            "filename": "2903617548_d3e38d7f88.jpg",
        },
    ],
    "dataset": "flickr8k",
}
COCO = {
    "images": [
        {
            "filepath": "val2014",
            "sentids": [770337],
            "filename": "COCO_val2014_000000391895.jpg",
            "imgid": 0,
            "split": "restval",
            "sentences": [sentence("A man with a red helmet. ", 0, 770337)],
            "cocoid": 391895,
        },
        {
            "filepath": "train2014",
            "sentids": [5],
            "filename": "COCO_train2014_000000000009.jpg",
            "imgid": 1,
            "split": "train",
            "sentences": [sentence("Food in boxes", 1, 5)],
            "cocoid": 9,
        },
    ],
    "dataset": "coco",
}
IMAGES = [
    "2513260012_03d33305cf.jpg",
    "2903617548_d3e38d7f88.jpg",
    "val2014/COCO_val2014_000000391895.jpg",
    "train2014/COCO_train2014_000000000009.jpg",
]


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", *IMAGES)

    def dataset(content, **settings):
        path = tmp_path / "dataset.json"
        path.write_text(json.dumps(content))
        return FORMATS.get("karpathy")(path=path, images=tmp_path / "images", **settings)

    return dataset


def test_flickr8k(make):
    listing = make(FLICKR8K).listing()
    assert column(listing, "id") == [f"{IMAGES[0]}#0", f"{IMAGES[0]}#1", f"{IMAGES[1]}#0"]
    assert labels(listing) == ["A black dog .", "The dog jumps .", "Two kids café"]


def test_coco_has_folders(make, tmp_path):
    listing = make(COCO).listing()
    assert column(listing, "path") == [f"{tmp_path}/images/{name}" for name in IMAGES[2:]]
    assert labels(listing) == ["A man with a red helmet.", "Food in boxes"]


def test_split(make):
    assert column(make(COCO, split="restval").listing(), "id") == [f"{IMAGES[2]}#0"]
    with pytest.raises(DatasetError, match=r"has no split 'val' \(it has: 'restval', 'train'\)"):
        make(COCO, split="val").listing()


def changed(content, change):
    content = copy.deepcopy(content)
    change(content["images"])
    return content


def test_images_without_captions_and_blank_captions_are_left_out(make):
    content = changed(
        FLICKR8K, lambda images: (images[1].update(sentences=[]), images[0]["sentences"][1].update(raw=""))
    )
    content["images"].append(FLICKR8K["images"][1] | {"sentences": [sentence("one", 1, 9), sentence("two", 1, 10)]})
    assert make(content).listing().notes == [
        f"1 of 5 samples of '{make(content).source}' have a blank caption or image and are left out "
        f"(images[0].sentences[1])",
        f"1 of 5 samples of '{make(content).source}' have no caption and are left out (images[1])",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda images: images[1].pop("split"), r"images\[1\] of '.*dataset.json' has no key 'split'"),
        (lambda images: images[1].update(filename=3), r"images\[1\] of .* has 3 at 'filename', which is not text"),
        (lambda images: images[1].update(filepath=None), r"images\[1\] of .* has None at 'filepath'"),
        (lambda images: images[1].update(sentences="x"), r"images\[1\] of .* has 'x' at 'sentences', .* not a list"),
        (lambda images: images[0]["sentences"][1].pop("raw"), r"images\[0\].sentences\[1\] of .* has no key 'raw'"),
        (lambda images: images[0].update(filepath=".."), r"images\[0\].sentences\[0\] of .* names '\.\./25.*', which"),
    ],
)
def test_errors_name_the_place(make, change, problem):
    with pytest.raises(DatasetError, match=problem):
        make(changed(FLICKR8K, change)).listing()


@given(mutated(json.dumps(FLICKR8K).encode()) | mutated(json.dumps(COCO).encode()) | st.binary())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "karpathy"
    pictures(folder / "images", *IMAGES)
    (folder / "file.json").write_bytes(data)
    listing = check_listing(FORMATS.get("karpathy")(path=folder / "file.json", images=folder / "images"))
    if listing is not None:
        sentences = [len(image["sentences"]) or 1 for image in json.loads(data.decode("utf-8-sig"))["images"]]
        assert len(listing.samples) + left_out(listing) == sum(sentences)
