"""DAQUAR."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

CONTENT = (
    b"what is on the right side of the black telephone and on the left side of the red chair in the image3 ?\n"
    b"desk\n"
    b"how many objects are between the fax machine and the black telephone in the image3 ?\n"
    b"2\n"
    b"what is on the table in the image10 ?\n"
    b"table_runner, candlestick, book\n"
)


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", "image3.png", "image10.png")

    def dataset(data, **settings):
        path = tmp_path / "qa.894.raw.train.txt"
        path.write_bytes(data)
        return FORMATS.get("daquar")(path=path, images=tmp_path / "images", **settings)

    return dataset


def test_questions(make, tmp_path):
    listing = make(CONTENT).listing()
    assert column(listing, "id") == ["image3.png#0", "image3.png#1", "image10.png#0"]
    assert column(listing, "text")[1:] == [
        "how many objects are between the fax machine and the black telephone ?",
        "what is on the table ?",
    ]
    assert column(listing, "path")[2] == f"{tmp_path}/images/image10.png"
    assert labels(listing) == ["desk", "2", "book, candlestick, table_runner"]


def test_files_of_windows(make):
    windows = make(b"\xef\xbb\xbf" + CONTENT.replace(b"\n", b"\r\n") + b"\r\n").listing()
    assert windows.samples.equals(make(CONTENT).listing().samples)


def test_answers_in_another_order_or_case_are_the_same(make):
    listing = make(CONTENT + b"what is here in the image3 ?\nBook,table_runner ,candlestick, book\n").listing()
    assert len(set(labels(listing))) == 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"What is red in the image 3?", "What is red ?"),
        (b"what is in this image3", "what is ?"),
        (b"how many chairs are in the image3 ?", "how many chairs are ?"),
        (b"what is behind the image on the wall in the image3 ?", "what is behind the image on the wall ?"),
    ],
)
def test_the_end_of_a_question_names_the_image(make, line, text):
    listing = make(CONTENT + line + b"\nlamp\n").listing()
    assert (column(listing, "id")[-1], column(listing, "text")[-1]) == ("image3.png#2", text)


@pytest.mark.parametrize("line", ["!" * 300_000 + "x", "image1" + " " * 300_000 + "x", "image" + "1" * 300_000])
def test_long_lines_are_read_at_once(make, line):
    with pytest.raises(DatasetError, match=r"line 7 .*, not a question"):
        make(CONTENT + line.encode()).listing()


def test_questions_without_an_answer_are_left_out(make):
    listing = make(CONTENT + b"what is red in the image3 ?\n\nwhat is left in the image3 ?\nlamp\n").listing()
    assert column(listing, "text")[-1] == "what is left ?"
    assert listing.notes[0].endswith("have no answer and are left out (line 7)")
    assert left_out(make(CONTENT + b"what is red in the image3 ?").listing()) == 1


def test_an_answer_without_a_question(make):
    with pytest.raises(DatasetError, match=r"line 7 of .*qa.894.raw.train.txt' is 'lamp', not a question that ends"):
        make(CONTENT + b"lamp\n").listing()


@given(mutated(CONTENT) | st.binary())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "daquar"
    pictures(folder / "images", "image3.png", "image10.png")
    (folder / "qa.txt").write_bytes(data)
    listing = check_listing(FORMATS.get("daquar")(path=folder / "qa.txt", images=folder / "images"))
    if listing is not None:
        lines = data.decode("utf-8-sig").split("\n")
        answers = len(listing.samples)
        assert (
            2 * answers + left_out(listing)
            <= sum(bool(line.strip()) for line in lines)
            <= 2 * (answers + left_out(listing))
        )
