"""Samples that are listed in annotation files."""

import re
from dataclasses import replace
from typing import ClassVar, Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import annotated_columns
from emms.datasets.annotated import Annotated, Row, list_rows
from emms.downstream import downstream
from emms.downstream.text_question_answering import PassageQuestion
from emms.downstream.visual_question_answering import VisualQuestion
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import column, labels, left_out, pictures

CAPTIONS = downstream("image-captioning")
QUESTIONS = downstream("visual-question-answering")
PASSAGES = downstream("text-question-answering")


@pytest.fixture
def images(tmp_path):
    return str(pictures(tmp_path / "images", "a.png", "b.png"))


def row(number, label="lamp", image="a.png", text="what is it ?", **fields):
    return Row(f"{number}", label, f"line {number}", image, {"text": text, **fields})


def test_listing(images):
    listing = list_rows([row(1, "lamp"), row(2, "cup", "b.png"), row(3, "lamp")], QUESTIONS, "qa.txt", images)
    assert listing.labels == ["cup", "lamp"]
    assert listing.notes == []
    assert listing.samples.equals(
        pl.DataFrame(
            {
                "id": ["1", "2", "3"],
                "label": [1, 0, 1],
                "path": [f"{images}/a.png", f"{images}/b.png", f"{images}/a.png"],
                "position": [0, 0, 0],
                "text": ["what is it ?"] * 3,
            },
            {"id": pl.String, "label": pl.Int32, "path": pl.String, "position": pl.Int64, "text": pl.String},
        )
    )


def test_labels_of_their_own_keep_their_order_and_case(images):
    rows = [
        Row(str(i), label, f"line {i}", "a.png", {"caption": label}) for i, label in enumerate(["B", "a", "b", "B"])
    ]
    listing = list_rows(rows, CAPTIONS, "captions.txt", images)
    assert listing.labels == ["B", "a", "b"]
    assert column(listing, "label") == [0, 1, 2, 0]


def test_answers_that_differ_in_case_or_outer_white_space_are_one_class(images):
    rows = [row(1, "Yes"), row(2, " yes "), row(3, "no"), row(4, "yes")]
    listing = list_rows(rows, QUESTIONS, "qa.txt", images)
    assert labels(listing) == ["yes", "yes", "no", "yes"]
    assert listing.notes == [
        "3 labels of 'qa.txt' are merged into 2, since some differ only in case, white space, '_' or '-', such as "
        "'Yes' and 'yes'"
    ]


def test_blank_labels_texts_and_images_are_left_out_and_counted(images):
    rows = [row(1), row(2, " "), row(3, text="\t\n"), row(4, "_"), row(5, image=" "), *(row(i) for i in range(6, 12))]
    listing = list_rows(rows, QUESTIONS, "qa.txt", images)
    assert column(listing, "id") == ["1", "6", "7", "8", "9", "10", "11"]
    assert listing.notes == [
        "4 of 11 samples of 'qa.txt' have a blank answer or image or question and are left out (line 2, line 3, "
        "line 4, …)"
    ]


def test_problems_are_counted_each(images):
    rows = [row(1), replace(row(2), problem="have no box"), replace(row(3), problem="have no x"), row(4), row(5)]
    listing = list_rows(rows, QUESTIONS, "qa.txt", images)
    assert listing.notes == [
        "1 of 5 samples of 'qa.txt' have no box and are left out (line 2)",
        "1 of 5 samples of 'qa.txt' have no x and are left out (line 3)",
    ]


def test_most_samples_left_out_is_an_error(images):
    with pytest.raises(DatasetError, match=r"2 of 3 samples of 'qa.txt' have a blank .* \(line 2, line 3\); check"):
        list_rows([row(1), row(2, ""), row(3, "")], QUESTIONS, "qa.txt", images)


def test_no_samples(images):
    with pytest.raises(DatasetError, match=r"'qa.txt' has no samples"):
        list_rows([], QUESTIONS, "qa.txt", images)


def test_ids_that_occur_twice_are_named_with_their_places(images):
    rows = [row(1), row(2), Row("1", "x", "line 3", "a.png", {"text": "y"})]
    with pytest.raises(DatasetError, match=r"line 1 and line 3 of 'qa.txt' have the same id, '1'"):
        list_rows(rows, QUESTIONS, "qa.txt", images)


def test_missing_images_are_noted_and_cannot_be_loaded(images, tmp_path):
    listing = list_rows([row(1), row(2, image="c.png"), row(3, image="c.png")], QUESTIONS, "qa.txt", images)
    assert listing.notes == [f"1 of 2 images that 'qa.txt' names are not in '{images}' ('c.png')"]
    with pytest.raises(BadSampleError, match="No such file"):
        Made(path=str(tmp_path)).load(listing.samples.row(1, named=True))


def test_no_image_exists(images):
    with pytest.raises(DatasetError, match=r"1 of 1 images .*; give their folder with `images:`"):
        list_rows([row(1, image="c.png")], QUESTIONS, "qa.txt", images)


def test_the_folder_of_images_must_exist(images):
    with pytest.raises(DatasetError, match=f"folder of images '{images}/x' does not exist"):
        list_rows([row(1)], QUESTIONS, "qa.txt", f"{images}/x")


@pytest.mark.parametrize("image", ["../secret.png", "/etc/passwd", "http://x.org/a.png", "a\\b.png", "C:/a.png"])
def test_images_outside_of_their_folder(images, image):
    rows = [row(1), row(2), row(3, image="b.png"), row(4, image=image)]
    with pytest.raises(DatasetError, match=f"line 4 of 'qa.txt' names '{re.escape(image)}', which"):
        list_rows(rows, QUESTIONS, "qa.txt", images)


def test_control_characters_and_halves_of_characters(images):
    rows = [row("1\ud800", "a\x1b[0m", text="what\x00is\u2028it"), row(2)]
    listing = list_rows(rows, QUESTIONS, "qa.txt", images)
    assert labels(listing) == ["a [0m", "lamp"]
    assert column(listing, "text") == ["what is it", "what is it ?"]
    assert column(listing, "id") == ["1\N{REPLACEMENT CHARACTER}", "2"]


def test_texts_without_images():
    rows = [Row(str(i), "x y"[i], f"line {i}", "", {"text": "q", "context": "x y", "answer_start": i}) for i in (0, 2)]
    listing = list_rows(rows, PASSAGES, "squad.json")
    assert column(listing, "path") == ["", ""]
    assert listing.samples.schema["answer_start"] == pl.Int64
    assert column(listing, "answer_start") == [0, 2]


def test_numbers_that_are_too_large():
    rows = [Row("1", "x", "line 9", "", {"text": "q", "context": "x", "answer_start": 1 << 63})]
    with pytest.raises(DatasetError, match=r"line 9 of 'squad.json' has a number that is too large"):
        list_rows(rows, PASSAGES, "squad.json")


class Made(Annotated):
    """Questions made up."""

    tasks: ClassVar = frozenset({QUESTIONS.name})
    format: Literal["made"] = "made"
    path: str

    @property
    def source(self):
        return "made"

    @property
    def image_folder(self):
        return self.path

    def rows(self):
        return iter([row(1), row(2, "cup", "b.png")])


def test_loading(images):
    dataset = Made(path=images)
    listing = dataset.listing()
    sample = dataset.load(listing.samples.row(1, named=True))
    assert isinstance(sample, VisualQuestion)
    assert (sample.id, sample.text, sample.image.getpixel((0, 0))) == ("2", "what is it ?", (20, 100, 0))


def test_loading_texts():
    class Passages(Made):
        tasks: ClassVar = frozenset({PASSAGES.name})

    record = {"id": "1", "label": 0, "path": "", "position": 0, "text": "q", "context": "c", "answer_start": 3}
    assert Passages(path="").load(record) == PassageQuestion("1", "q", "c", 3)


TEXTS = st.text(st.characters(), max_size=5)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.booleans()), max_size=20), st.integers(1, 7))
def test_every_sample_is_listed_or_noted(tmp_path_factory, contents, chunk):
    images = str(tmp_path_factory.getbasetemp() / "laws")
    pictures(tmp_path_factory.getbasetemp() / "laws", "a.png")
    rows = [
        Row(str(i), label, f"line {i}", image or "a.png", {"text": text}, "have a problem" if problem else "")
        for i, (label, text, image, problem) in enumerate(contents)
    ] + [row(i, str(i)) for i in range(100, 130)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotated_columns, "_CHUNK", chunk)
        try:
            listing = list_rows(rows, QUESTIONS, "qa.txt", images)
        except DatasetError as error:
            assert "which" in str(error)  # noqa: PT017  a path that is refused
            return
    assert len(listing.samples) + left_out(listing) == len(rows)
    assert set(column(listing, "id")) <= {row.id for row in rows}
