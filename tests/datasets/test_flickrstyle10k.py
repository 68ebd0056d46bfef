"""FlickrStyle10K."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.datasets.plain_pickles import read_pickle
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

NAMES = ["3724759125_2dc0e1f4a3.jpg", "1000268201_693b08cb0e.jpg", "3333333333_aaaaaaaaaa.jpg"]
FUNNY = b"A man climbs up a cliff like a lizard .\nTwo dogs play poker .\nA boy looks for his lost caf\xc3\xa9 .\n"


def folder_of(tmp_path, captions=FUNNY, names=NAMES, images=NAMES):
    for folder, text in [("humor", "funny_train.txt"), ("romantic", "romantic_train.txt")]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / text).write_bytes(captions if folder == "humor" else b"love .\n" * len(names))
        (tmp_path / folder / "train.p").write_bytes(pickle.dumps(names, 0))
    return pictures(tmp_path / "images", *images)


def make(tmp_path, **settings):
    return FORMATS.get("flickrstyle10k")(path=tmp_path, images=tmp_path / "images", **settings)


def test_humorous_captions(tmp_path):
    folder_of(tmp_path)
    listing = make(tmp_path).listing()
    assert column(listing, "id") == [f"{name}#0" for name in NAMES]
    assert labels(listing)[2] == "A boy looks for his lost café ."


def test_romantic_captions(tmp_path):
    folder_of(tmp_path)
    assert labels(make(tmp_path, style="romantic").listing()) == ["love ."] * 3


def test_images_of_flickr30k(tmp_path):
    folder_of(tmp_path, images=["3724759125.jpg", NAMES[1]])
    listing = make(tmp_path).listing()
    assert column(listing, "id") == ["3724759125.jpg#0", f"{NAMES[1]}#0", f"{NAMES[2]}#0"]
    assert f"1 of 3 images that '{tmp_path}/humor/funny_train.txt' names are not in" in listing.notes[0]


def test_lines_of_windows_in_windows_1252(tmp_path):
    folder_of(tmp_path, b"It\x92s a dog\r\nA cat\r\n caf\xe9\r\n\r\n")
    assert labels(make(tmp_path).listing()) == ["It’s a dog", "A cat", "café"]


def test_a_blank_line_in_the_place_of_a_caption(tmp_path):
    folder_of(tmp_path, b"a dog\n\nthree cats\n")
    listing = make(tmp_path).listing()
    assert column(listing, "id") == [f"{NAMES[0]}#0", f"{NAMES[2]}#0"]
    assert left_out(listing) == 1


def test_a_blank_line_between_captions(tmp_path):
    folder_of(tmp_path, b"a dog\n\na cat\nthree cats\n")
    assert labels(make(tmp_path).listing()) == ["a dog", "a cat", "three cats"]


def test_more_captions_than_images(tmp_path):
    folder_of(tmp_path, FUNNY + b"more\n")
    with pytest.raises(DatasetError, match=r"funny_train.txt' has 4 captions but '.*train.p' names 3 images"):
        make(tmp_path).listing()


@pytest.mark.parametrize("names", [{"a": 1}, ["a.jpg", 1]])
def test_a_pickle_of_something_else(tmp_path, names):
    folder_of(tmp_path, names=names)
    with pytest.raises(DatasetError, match=r"train.p' is not a list of file names"):
        make(tmp_path).listing()


@given(mutated(FUNNY) | st.binary(), mutated(pickle.dumps(NAMES, 0)) | st.just(pickle.dumps(NAMES, 2)))
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, captions, pickled):
    folder = tmp_path_factory.getbasetemp() / "style"
    if not folder.exists():
        folder.mkdir()
        folder_of(folder)
    (folder / "humor" / "funny_train.txt").write_bytes(captions)
    (folder / "humor" / "train.p").write_bytes(pickled)
    listing = check_listing(make(folder))
    if listing is not None:
        assert len(listing.samples) + left_out(listing) == len(read_pickle(folder / "humor" / "train.p"))
