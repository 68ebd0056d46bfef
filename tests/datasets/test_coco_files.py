"""Images of COCO."""

import pytest

from emms.datasets.coco_files import CocoFolder, images_by_id
from emms.errors import DatasetError
from tests.datasets.readers import pictures


def test_images_are_found_by_their_number(tmp_path):
    folder = pictures(
        tmp_path,
        "000000000001.jpg",
        "COCO_train2014_000000000002.jpg",
        "train2014/COCO_train2014_000000000003.jpg",
        "val2017/000000000004.jpg",
        "val2017/thumb_000000000005.jpg",
    )
    names = [CocoFolder(str(folder)).name(number) for number in range(1, 6)]
    assert names == [
        "000000000001.jpg",
        "COCO_train2014_000000000002.jpg",
        "train2014/COCO_train2014_000000000003.jpg",
        "val2017/000000000004.jpg",
        "000000000005.jpg",
    ]


def test_a_folder_that_does_not_exist(tmp_path):
    assert CocoFolder(str(tmp_path / "none")).name(7) == "000000000007.jpg"


def test_the_same_image_may_be_listed_twice():
    entry = {"id": 1, "file_name": "1.jpg"}
    assert images_by_id({"images": [entry, dict(entry)]}, "x.json") == {1: ("images[0]", "1.jpg", entry)}
    with pytest.raises(DatasetError, match=r"images\[1\] of 'x.json' has the id 1 of an earlier image"):
        images_by_id({"images": [entry, {"id": 1, "file_name": "2.jpg"}]}, "x.json")
