"""Questions about images, with all answers or with the most frequent ones."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emms.datasets.questions import Question, Questions
from emms.downstream.visual_question_answering import VisualQuestion
from tests.datasets.readers import column, labels, left_out, pictures


class Made(Questions):
    """Questions made up."""

    format: Literal["made"] = "made"
    content: Any

    def read(self) -> Iterator[Question]:
        for number, (image, text, answer) in enumerate(self.content, 1):
            yield Question(image, text, answer, f"line {number}")


@pytest.fixture
def images(tmp_path):
    return pictures(tmp_path / "images", "a.png", "b.png")


def answered(images, answers, **settings):
    content = [("a.png", "is it ?", answer) for answer in answers]
    return Made(path="made.txt", images=images, content=content, **settings).listing()


def test_questions(images):
    content = [("a.png", "what  is\tit ?", "lamp"), ("b.png", "where ?", " left"), ("a.png", "why ?", "lamp")]
    dataset = Made(path="made.txt", images=images, content=content)
    listing = dataset.listing()
    assert column(listing, "id") == ["a.png#0", "b.png#0", "a.png#1"]
    assert column(listing, "text") == ["what is it ?", "where ?", "why ?"]
    assert labels(listing) == ["lamp", "left", "lamp"]
    sample = dataset.load(listing.samples.row(1, named=True))
    assert isinstance(sample, VisualQuestion)
    assert (sample.id, sample.text) == ("b.png#0", "where ?")


def test_the_most_frequent_answers(images):
    listing = answered(images, ["no", "Yes", "2", "yes", "no", "red", "yes"], top_answers=2)
    assert labels(listing) == ["no", "yes", "yes", "no", "yes"]
    assert listing.labels == ["no", "yes"]
    assert listing.notes[-1] == (
        "2 of 7 samples are left out, since their answers are not among the 2 most frequent ones (`top_answers`)"
    )


def test_of_equally_frequent_answers_the_first_ones_are_used(images):
    assert answered(images, ["c", "b", "a", "d", "a"], top_answers=3).labels == ["a", "b", "c"]


def test_fewer_answers_than_asked_for(images):
    listing = answered(images, ["a", "b"], top_answers=3000)
    assert labels(listing) == ["a", "b"]
    assert listing.notes == []


def test_one_answer_is_too_few(images):
    with pytest.raises(ValidationError, match="top_answers"):
        answered(images, ["a", "b"], top_answers=1)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1), st.integers(2, 9))
def test_laws_of_the_most_frequent_answers(tmp_path_factory, answers, count):
    images = pictures(tmp_path_factory.getbasetemp() / "answers", "a.png")
    listing = answered(images, answers, top_answers=count)
    best = sorted(Counter(answers).items(), key=lambda item: (-item[1], item[0]))[:count]
    assert Counter(labels(listing)) == dict(best)
    assert len(listing.samples) + left_out(listing) == len(answers)
