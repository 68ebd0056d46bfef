"""Captions of COCO."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

CONTENT = {
    "info": {"description": "COCO 2017 Dataset", "year": 2017},
    "licenses": [{"id": 1, "name": "Attribution"}],
    "images": [
        {"license": 4, "file_name": "000000397133.jpg", "height": 427, "width": 640, "id": 397133},
        {"license": 1, "file_name": "000000037777.jpg", "height": 230, "width": 352, "id": 37777},
    ],
    "annotations": [
        {"image_id": 37777, "id": 38, "caption": "A kitchen with a refrigerator."},
        {"image_id": 397133, "id": 182, "caption": "A chef \nprepares food."},
        {"image_id": 37777, "id": 40, "caption": "The dining table"},
    ],
}
IMAGES = ["000000397133.jpg", "000000037777.jpg"]


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", *IMAGES)

    def dataset(content, **settings):
        path = tmp_path / "captions_val2017.json"
        path.write_text(json.dumps(content))
        return FORMATS.get("coco-captions")(path=path, images=tmp_path / "images", **settings)

    return dataset


def changed(change):
    content = copy.deepcopy(CONTENT)
    change(content)
    return content


def test_captions(make):
    listing = make(CONTENT).listing()
    assert column(listing, "id") == ["000000037777.jpg#0", "000000397133.jpg#0", "000000037777.jpg#1"]
    assert labels(listing) == ["A kitchen with a refrigerator.", "A chef prepares food.", "The dining table"]
    assert listing.notes == []


def test_captions_of_an_image_need_not_follow_each_other(make):
    listing = make(CONTENT, captions="mean").listing()
    assert labels(listing) == ["A kitchen with a refrigerator.\nThe dining table", "A chef prepares food."]


def test_captions_without_an_image_and_images_without_a_caption_are_left_out(make):
    def change(content):
        content["annotations"][0]["image_id"] = 1
        content["images"].append({"id": 5, "file_name": "5.jpg"})

    dataset = make(changed(change))
    assert dataset.listing().notes == [
        f"1 of 4 samples of '{dataset.source}' are of an image that the file does not list and are left out "
        f"(annotations[0])",
        f"1 of 4 samples of '{dataset.source}' have no caption and are left out (images[2])",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content.pop("annotations"), "captions_val2017.json' has no key 'annotations'"),
        (lambda content: content["annotations"][1].pop("caption"), r"annotations\[1\] of .* has no key 'caption'"),
        (lambda content: content["annotations"][1].update(image_id="1"), r"annotations\[1\] .* not an integer"),
        (lambda content: content["images"][0].pop("file_name"), r"images\[0\] of .* has no key 'file_name'"),
        (lambda content: content["images"][1].update(id=397133), r"images\[1\] of .* has the id 397133 of an earlier"),
    ],
)
def test_errors_name_the_place(make, change, problem):
    with pytest.raises(DatasetError, match=problem):
        make(changed(change)).listing()


@given(mutated(json.dumps(CONTENT).encode()) | st.binary())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "coco"
    pictures(folder / "images", *IMAGES)
    (folder / "file.json").write_bytes(data)
    listing = check_listing(FORMATS.get("coco-captions")(path=folder / "file.json", images=folder / "images"))
    if listing is not None:
        content = json.loads(data.decode("utf-8-sig"))
        used = {annotation["image_id"] for annotation in content["annotations"]}
        unused = {image["id"] for image in content["images"]} - used
        assert len(listing.samples) + left_out(listing) == len(content["annotations"]) + len(unused)
