"""CLEVR."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures


def question(index, image, text, answer):
    return {
        "question_index": index,
        "question_family_index": 2,
        "image_index": image,
        "image_filename": f"CLEVR_val_{image:06}.png",
        "split": "val",
        "question": text,
        "answer": answer,
        "program": [{"inputs": [], "function": "scene", "value_inputs": []}],
    }


CONTENT = {
    "info": {"split": "val", "version": "1.0"},
    "questions": [
        question(0, 0, "Are there any other things that are the same shape as the big metallic object?", "no"),
        question(1, 0, "How many cubes are there?", "1"),
        question(2, 1, "What color is the small ball?", "red"),
    ],
}
IMAGES = ["CLEVR_val_000000.png", "CLEVR_val_000001.png"]


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", *IMAGES)

    def dataset(content, **settings):
        path = tmp_path / "CLEVR_val_questions.json"
        path.write_text(json.dumps(content))
        return FORMATS.get("clevr")(path=path, images=tmp_path / "images", **settings)

    return dataset


def changed(**values):
    content = copy.deepcopy(CONTENT)
    content["questions"][1].update(values)
    return content


def test_questions(make):
    listing = make(CONTENT).listing()
    assert column(listing, "id") == [f"{IMAGES[0]}#0", f"{IMAGES[0]}#1", f"{IMAGES[1]}#0"]
    assert column(listing, "text")[1] == "How many cubes are there?"
    assert labels(listing) == ["no", "1", "red"]


def test_blank_questions_are_left_out(make):
    assert make(changed(question=" ")).listing().notes[0].endswith("and are left out (questions[1])")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"answer": 1}, r"questions\[1\] of '.*questions.json' has 1 at 'answer', which is not text"),
        ({"answer": True}, r"questions\[1\] of .* has True at 'answer'"),
        ({"image_filename": None}, r"questions\[1\] of .* has None at 'image_filename'"),
    ],
)
def test_errors_name_the_place(make, values, problem):
    with pytest.raises(DatasetError, match=problem):
        make(changed(**values)).listing()


def test_the_test_split_has_no_answers(make):
    content = changed()
    del content["questions"][0]["answer"]
    with pytest.raises(DatasetError, match=r"questions\[0\] .* no key 'answer'; CLEVR publishes none for its test"):
        make(content).listing()


@given(mutated(json.dumps(CONTENT).encode()) | st.binary())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "clevr"
    pictures(folder / "images", *IMAGES)
    (folder / "questions.json").write_bytes(data)
    listing = check_listing(FORMATS.get("clevr")(path=folder / "questions.json", images=folder / "images"))
    if listing is not None:
        assert len(listing.samples) + left_out(listing) == len(json.loads(data.decode("utf-8-sig"))["questions"])
