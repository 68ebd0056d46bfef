"""CSV files of captions."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

FLICKR30K = (
    b"image_name| comment_number| comment\n"
    b"1000092795.jpg| 0| Two young guys with shaggy hair look at their hands .\n"
    b'1000092795.jpg| 1| Two " young " , White males | are outside .\n'
    b"10002456.jpg| 0| Several men in hard hats are operating a giant pulley system .\n"
)
KAGGLE = (
    b"image,caption\n"
    b"1000092795.jpg,Two young guys look at their hands .\n"
    b'1000092795.jpg,"Two "" young "" , White males are outside ."\n'
    b"10002456.jpg,Several men in hard hats .\n"
)


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", "1000092795.jpg", "10002456.jpg")

    def dataset(data, **settings):
        path = tmp_path / "results.csv"
        path.write_bytes(data)
        return FORMATS.get("flickr30k-csv")(path=path, images=tmp_path / "images", **settings)

    return dataset


def test_bars(make):
    listing = make(FLICKR30K).listing()
    assert column(listing, "id") == ["1000092795.jpg#0", "1000092795.jpg#1", "10002456.jpg#0"]
    assert labels(listing)[1] == 'Two " young " , White males | are outside .'


def test_commas(make):
    listing = make(KAGGLE).listing()
    assert column(listing, "id") == ["1000092795.jpg#0", "1000092795.jpg#1", "10002456.jpg#0"]
    assert labels(listing)[1] == 'Two " young " , White males are outside .'


def test_commas_with_caption_numbers(make):
    listing = make(b"image_name,comment_number,comment\n10002456.jpg,0,men\n1000092795.jpg,0,guys\n").listing()
    assert labels(listing) == ["men", "guys"]


@pytest.mark.parametrize("data", [FLICKR30K, KAGGLE])
def test_files_of_windows(make, data):
    windows = make(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\r\n").listing()
    assert windows.samples.equals(make(data).listing().samples)


def test_the_line_that_lacks_a_bar(make):
    listing = make(FLICKR30K + b"10002456.jpg| 4   A dog runs across the grass .\n").listing()
    assert labels(listing)[-1] == "A dog runs across the grass ."


def test_empty_captions_are_left_out(make):
    listing = make(KAGGLE + b"10002456.jpg,\n").listing()
    assert listing.notes[0].endswith("have a blank caption or image and are left out (line 5)")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "starts with '', not with a header such as `image_name"),
        (b"1.jpg| 0| a dog", "starts with '1.jpg| 0| a dog', not with a header"),
        (FLICKR30K + b"1.jpg| a dog", "line 5 .* has 2 cells, unlike the header, which has 3"),
        (KAGGLE + b"1.jpg,a dog, a cat", "line 5 .* has 3 cells, unlike the header, which has 2"),
        (KAGGLE + b'1.jpg,"a dog\n', "line 5 .* is not CSV: unexpected end"),
        (KAGGLE + b"1.jpg," + b"a" * (csv.field_size_limit() + 1), "line 5 .* is not CSV: field larger"),
        (KAGGLE + b"1.jpg,caf\xe9", "line 5 .* is not text in UTF-8"),
    ],
)
def test_errors(make, data, problem):
    with pytest.raises(DatasetError, match=problem.replace("|", r"\|")):
        make(data).listing()


@given(st.binary() | mutated(FLICKR30K) | mutated(KAGGLE))
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "csv"
    pictures(folder / "images", "1000092795.jpg", "10002456.jpg")
    (folder / "results.csv").write_bytes(data)
    listing = check_listing(FORMATS.get("flickr30k-csv")(path=folder / "results.csv", images=folder / "images"))
    if listing is not None:
        lines = [line for line in data.decode("utf-8-sig").split("\n") if line.strip(" ,\r\t")]
        count = len(listing.samples) + left_out(listing)
        assert count == len(lines) - 1 or b'"' in data  # in quotation marks, a caption may have several lines
