"""COCO-QA."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

FILES = {
    "questions.txt": b"what is the color of the horses\nwhat are sitting on top of a table\nhow many dogs are there\n",
    "answers.txt": b"brown\nbananas\ntwo\n",
    "img_ids.txt": b"30\n42\n30\n",
    "types.txt": b"2\n0\n1\n",
}
IMAGES = ["train2014/COCO_train2014_000000000030.jpg", "train2014/COCO_train2014_000000000042.jpg"]


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", *IMAGES)
    (tmp_path / "train").mkdir()

    def dataset(**files):
        for name, data in FILES.items():
            (tmp_path / "train" / name).write_bytes(files.get(name.removesuffix(".txt"), data))
        return FORMATS.get("coco-qa")(path=tmp_path / "train", images=tmp_path / "images")

    return dataset


def test_questions(make):
    listing = make().listing()
    assert column(listing, "id") == [f"{IMAGES[0]}#0", f"{IMAGES[1]}#0", f"{IMAGES[0]}#1"]
    assert column(listing, "text")[0] == "what is the color of the horses"
    assert labels(listing) == ["brown", "bananas", "two"]
    assert listing.notes == []


def test_files_of_windows(make):
    listing = make().listing()
    windows = {name.removesuffix(".txt"): data.replace(b"\n", b"\r\n") + b"\r\n" for name, data in FILES.items()}
    assert make(**windows).listing().samples.equals(listing.samples)


def test_an_image_that_is_missing(make):
    listing = make(img_ids=b"30\n7\n30\n").listing()
    assert "'000000000007.jpg'" in listing.notes[0]


def test_a_blank_answer_is_left_out(make):
    assert make(answers=b"brown\n\ntwo\n").listing().notes[0].endswith("and are left out (line 2)")


def test_files_of_different_lengths(make):
    with pytest.raises(DatasetError, match=r"questions.txt 3, answers.txt 3, img_ids.txt 3, types.txt 2\); use files"):
        make(types=b"2\n0\n").listing()


@pytest.mark.parametrize("number", ["x", "-1", "", "²", "1234567890123"])
def test_what_is_not_an_id(make, number):
    with pytest.raises(DatasetError, match=rf"line 2 of '.*train/img_ids.txt' is '{number}', not the id of an image"):
        make(img_ids=f"30\n{number}\n30".encode()).listing()


def test_a_missing_file(make, tmp_path):
    dataset = make()
    (tmp_path / "train" / "types.txt").unlink()
    with pytest.raises(DatasetError, match=r"types.txt' cannot be read: No such file"):
        dataset.listing()


@given(st.sampled_from(list(FILES)), st.data())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, name, data):
    folder = tmp_path_factory.getbasetemp() / "coco-qa"
    pictures(folder, *IMAGES)
    content = FILES | {name: data.draw(mutated(FILES[name]) | st.binary())}
    for file, text in content.items():
        (folder / file).write_bytes(text)
    listing = check_listing(FORMATS.get("coco-qa")(path=folder, images=folder))
    if listing is not None:
        assert len(listing.samples) + left_out(listing) == 3
