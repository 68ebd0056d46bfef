"""CoQA, in the format of the published files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.coqa import CoQA
from emms.downstream.text_question_answering import UNANSWERABLE
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, counted, mutated

STORY = "Once upon a time, in a barn near a farm house, there lived a little white kitten named Cotton."


def turn(number, text, span=None):
    content = {"input_text": text, "turn_id": number}
    if span is None:
        return content
    start = STORY.find(span)
    return {"span_start": start, "span_end": start + len(span) if start >= 0 else -1, "span_text": span, **content}


def write(path, questions, answers, **more):
    story = {
        "source": "mctest",
        "id": "3dr23u6we5exclen4th8uq9rb42tel",
        "filename": "mc160.test.41",
        "story": STORY,
        "questions": questions,
        "answers": answers,
        "additional_answers": {"0": answers},
        "name": "mc160.test.41",
        **more,
    }
    path.write_text(json.dumps({"version": "1.0", "data": [story]}), encoding="utf-8")
    return CoQA(path=path)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "coqa-dev-v1.0.json"


def test_questions_and_answers_of_a_story(file):
    questions = [turn(1, "What color was Cotton?"), turn(2, "Where did she live?"), turn(3, "Was she happy?")]
    answers = [
        turn(1, "white", "a little white kitten named Cotton"),
        turn(3, "unknown", "unknown"),
        turn(2, "in a barn", "in a barn"),
    ]
    dataset = write(file, questions, answers)
    listing = dataset.listing()
    assert listing.samples["id"].to_list() == [f"3dr23u6we5exclen4th8uq9rb42tel/{i}" for i in (1, 2, 3)]
    assert [listing.labels[i] for i in listing.samples["label"]] == ["white", "in a barn", UNANSWERABLE]
    samples = [dataset.load(record) for record in listing.samples.to_dicts()]
    assert samples[1].text == "Where did she live?"
    assert samples[1].context == STORY
    assert [s.answer_start for s in samples] == [STORY.index("a little"), STORY.index("in a barn"), -1]


def test_blank_turns_are_counted(file):
    questions = [turn(i, "Who?") for i in range(1, 4)] + [turn(4, " ")]
    listing = write(file, questions, [turn(i, "kitten", "kitten") for i in range(1, 5)]).listing()
    assert len(listing.samples) == 3
    assert "1 of 4 samples" in listing.notes[0]


@pytest.mark.parametrize(
    ("questions", "answers", "message"),
    [
        ([turn(1, "q"), turn(2, "r")], [turn(1, "a", "Once")], r"questions\[1\] of .* turn_id 2, which no answer has"),
        ([turn(1, "q")], [turn(1, "a", "Once"), turn(2, "b", "a")], r"answers\[1\] of .* turn_id 2, which no question"),
        ([turn(1, "q"), turn(1, "r")], [turn(1, "a", "Once")], r"questions\[1\] of .* turn_id 1, as an earlier one"),
        ([turn(1, "q")], [turn(1, "a")], r"answers\[0\] of .* no key 'span_start'"),
        ([turn(1, 3)], [turn(1, "a", "Once")], r"data\[0\].questions\[0\] of .* 3 at 'input_text'"),
    ],
)
def test_turns_that_do_not_fit(file, questions, answers, message):
    with pytest.raises(DatasetError, match=message):
        write(file, questions, answers).listing()


def test_the_test_set_has_no_answers(file):
    with pytest.raises(DatasetError, match="those of the test set have no answers"):
        write(file, [turn(1, "q")], []).listing()


@given(st.data())
def test_damaged_files_give_samples_or_errors(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    write(path, [turn(1, "q"), turn(2, "r")], [turn(1, "a", "Once"), turn(2, "unknown", "unknown")])
    path.write_bytes(data.draw(st.binary() | mutated(path.read_bytes())))
    check_listing(CoQA(path=path))


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4) | st.just("Unknown"), st.integers()), min_size=1))
def test_no_sample_is_lost(tmp_path_factory, turns):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    answers = [{**turn(i, a, "x"), "span_start": start} for i, (_, a, start) in enumerate(turns)]
    listing = check_listing(write(path, [turn(i, q) for i, (q, _, _) in enumerate(turns)], answers))
    assert listing is None or counted(listing) == len(turns)
