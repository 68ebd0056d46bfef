"""Token files of Flickr8k and Flickr30k."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

TOKENS = (
    b"1000268201_693b08cb0e.jpg#0\tA child in a pink dress is climbing up a set of stairs in an entry way .\n"
    b"1000268201_693b08cb0e.jpg#1\tA girl going into a wooden building .\n"
    b"1001773457_577c3a7d70.jpg#0\tA black dog and a spotted dog are fighting\n"
)
# The image of these captions was never published: its name has a second ending.
ODD = b"2258277193_586949ec62.jpg.1#0\tpeople waiting for the subway\n"


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", "1000268201_693b08cb0e.jpg", "1001773457_577c3a7d70.jpg")

    def dataset(data, **settings):
        path = tmp_path / "Flickr8k.token.txt"
        path.write_bytes(data)
        return FORMATS.get("flickr-tokens")(path=path, images=tmp_path / "images", **settings)

    return dataset


def test_captions(make):
    listing = make(TOKENS).listing()
    assert column(listing, "id") == [
        "1000268201_693b08cb0e.jpg#0",
        "1000268201_693b08cb0e.jpg#1",
        "1001773457_577c3a7d70.jpg#0",
    ]
    assert labels(listing)[1:] == [
        "A girl going into a wooden building .",
        "A black dog and a spotted dog are fighting",
    ]
    assert listing.notes == []


def test_files_of_windows(make):
    windows = make(b"\xef\xbb\xbf" + TOKENS.replace(b"\n", b"\r\n") + b"\r\n").listing()
    assert windows.samples.equals(make(TOKENS).listing().samples)


def test_an_image_that_was_never_published_is_noted(make):
    listing = make(TOKENS + ODD).listing()
    assert len(listing.samples) == 4
    assert "1 of 3 images" in listing.notes[0]
    assert "2258277193_586949ec62.jpg.1" in listing.notes[0]


def test_caption_numbers_that_occur_twice(make):
    listing = make(TOKENS + b"1001773457_577c3a7d70.jpg#0\tTwo dogs\n").listing()
    assert column(listing, "id")[2:] == ["1001773457_577c3a7d70.jpg#0", "1001773457_577c3a7d70.jpg#1"]


def test_empty_captions_are_left_out(make):
    listing = make(TOKENS + b"1001773457_577c3a7d70.jpg#1\t \n").listing()
    assert listing.notes[0].endswith("have a blank caption or image and are left out (line 4)")


@pytest.mark.parametrize("line", [b"1.jpg#0 a dog", b"1.jpg\ta dog", b"1.jpg#x\ta dog"])
def test_other_lines_are_an_error(make, line):
    with pytest.raises(
        DatasetError, match=r"line 5 of '.*Flickr8k.token.txt' is '1.jpg.*', not an image with a caption"
    ):
        make(TOKENS + b"\n" + line).listing()


def test_images_outside_of_the_folder(make):
    with pytest.raises(DatasetError, match=r"line 4 of .* names '../x.jpg', which leads"):
        make(TOKENS + b"../x.jpg#0\ta dog").listing()


@given(st.binary() | mutated(TOKENS))
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "tokens"
    pictures(folder / "images", "1000268201_693b08cb0e.jpg", "1001773457_577c3a7d70.jpg")
    (folder / "token.txt").write_bytes(data)
    listing = check_listing(FORMATS.get("flickr-tokens")(path=folder / "token.txt", images=folder / "images"))
    if listing is not None:
        lines = data.decode("utf-8-sig").split("\n")
        assert len(listing.samples) + left_out(listing) == sum(bool(line.strip()) for line in lines)
