"""Several captions of an image: all, the first, or the mean."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.captions import Caption, Captions
from emms.downstream.image_captioning import CaptionedImage, ImageCaptioning
from emms.errors import DatasetError
from tests.datasets.readers import column, labels, left_out, pictures


class Made(Captions):
    """Captions made up."""

    format: Literal["made"] = "made"
    content: Any

    def read(self) -> Iterator[Caption]:
        for number, (image, text) in enumerate(self.content, 1):
            yield Caption(image, text, f"line {number}")


@pytest.fixture
def images(tmp_path):
    return pictures(tmp_path / "images", "a.png", "b.png")


def listed(images, content, captions):
    return Made(path="made.txt", images=images, captions=captions, content=content).listing()


CONTENT = [("a.png", " A  dog\truns "), ("b.png", "a cat"), ("a.png", "a brown dog"), ("b.png", "a cat")]


def test_all(images):
    listing = listed(images, CONTENT, "all")
    assert column(listing, "id") == ["a.png#0", "b.png#0", "a.png#1", "b.png#1"]
    assert column(listing, "caption") == labels(listing) == ["A dog runs", "a cat", "a brown dog", "a cat"]
    assert listing.notes == []


def test_first(images):
    listing = listed(images, CONTENT, "first")
    assert column(listing, "id") == ["a.png", "b.png"]
    assert column(listing, "caption") == labels(listing) == ["A dog runs", "a cat"]


def test_mean(images):
    listing = listed(images, CONTENT, "mean")
    assert column(listing, "id") == ["a.png", "b.png"]
    assert labels(listing) == ["A dog runs\na brown dog", "a cat\na cat"]
    assert column(listing, "caption") == ["A dog runs", "a cat"]
    texts = ImageCaptioning().texts(listing.labels, "a photo: {label}")
    assert texts[0] == "a photo: A dog runs\na photo: a brown dog"


@pytest.mark.parametrize("captions", ["all", "first", "mean"])
def test_blank_captions_are_left_out_and_counted(images, captions):
    listing = listed(images, [("a.png", ""), ("a.png", "a dog"), ("b.png", "a cat"), ("b.png", "\x00")], captions)
    assert labels(listing) == ["a dog", "a cat"]
    assert left_out(listing) == 2


def test_line_separators_in_a_caption_do_not_make_it_two(images):
    listing = listed(images, [("a.png", "a dog\u2028runs"), ("b.png", "a\ncat\x85sits")], "mean")
    assert labels(listing) == ["a dog runs", "a cat sits"]


def test_loading(images):
    dataset = Made(path="made.txt", images=images, content=CONTENT)
    sample = dataset.load(dataset.listing().samples.row(2, named=True))
    assert isinstance(sample, CaptionedImage)
    assert (sample.id, sample.caption, sample.image.size) == ("a.png#1", "a brown dog", (8, 6))


@given(st.lists(st.tuples(st.sampled_from(["a.png", "b.png", ""]), st.text(max_size=3)), min_size=1))
def test_every_caption_is_used_or_noted(tmp_path_factory, content):
    images = pictures(tmp_path_factory.getbasetemp() / "captions", "a.png", "b.png")
    try:
        everything, mean = (listed(images, content, captions) for captions in ("all", "mean"))
    except DatasetError as error:
        assert "made.txt' have a blank caption or image" in str(error)  # noqa: PT017  most of them are left out
        return
    assert len(everything.samples) + left_out(everything) == len(content)
    assert sum(len(label.split("\n")) for label in labels(mean)) + left_out(mean) == len(content)
