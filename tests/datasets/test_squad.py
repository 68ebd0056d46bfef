"""SQuAD 1.1 and 2.0, in the format of the published files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.squad import Squad
from emms.downstream.text_question_answering import UNANSWERABLE
from emms.errors import DatasetError
from tests.datasets.readers import JSON, check_listing, counted, mutated

CONTEXT = "Beyoncé rose to fame in the late 1990s as lead singer of Destiny's Child. 🎤 It sold well."
ANSWER = {"text": "in the late 1990s", "answer_start": CONTEXT.index("in the late")}


def question(id_, text, answers=(ANSWER,), **more):
    return {"question": text, "id": id_, "answers": list(answers), **more}


def write(path, *questions, context=CONTEXT, version="v2.0"):
    article = {"title": "Beyoncé", "paragraphs": [{"context": context, "qas": list(questions)}]}
    path.write_text(json.dumps({"version": version, "data": [article]}), encoding="utf-8")
    return Squad(path=path)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "train-v2.0.json"


def test_version_1(file):
    other = {"text": "late 1990s", "answer_start": CONTEXT.index("late")}
    dataset = write(file, question("56be", "When?", [ANSWER, other]), question("57", "What sold?", [
        {"text": "It", "answer_start": CONTEXT.index("It")}]), version="1.1")  # fmt: skip
    listing = dataset.listing()
    assert listing.labels == ["in the late 1990s", "It"]
    record = listing.samples.row(1, named=True)
    assert record["path"] == ""
    assert record["id"] == "57"
    sample = dataset.load(record)
    assert (sample.text, sample.context) == ("What sold?", CONTEXT)
    assert sample.context[sample.answer_start :].startswith("It sold")  # counted in characters, after an emoji


def test_version_2_has_questions_without_answers(file):
    impossible = question("2", "Who?", [], is_impossible=True, plausible_answers=[ANSWER])
    dataset = write(file, question("1", "When?", is_impossible=False), impossible)
    listing = dataset.listing()
    assert listing.labels == ["in the late 1990s", UNANSWERABLE]
    assert listing.samples["answer_start"].to_list() == [CONTEXT.index("in the"), -1]


def test_oddities(file):
    wrong = question("3", "Wrong start?", [{"text": "Child", "answer_start": 3}])
    spaces = question("4", "Spaces?", [{"text": " rose", "answer_start": CONTEXT.index(" rose")}])
    dataset = write(file, question("1", "a\tb\ud83d"), wrong, spaces)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"}, ", b"},\r\n"))
    listing = dataset.listing()
    assert listing.samples["text"][0] == "a b\N{REPLACEMENT CHARACTER}"
    assert listing.samples["answer_start"].to_list()[1:] == [-1, CONTEXT.index("rose")]
    assert listing.labels[-1] == "rose"
    (note,) = [note for note in listing.notes if "answer_start" in note]
    assert "1 of 3 samples" in note
    assert "qas[1]" in note


def test_blank_questions_and_missing_answers_are_counted(file):
    dataset = write(file, *(question(str(i), "When?") for i in range(3)), question("7", " "), question("8", "?", []))
    listing = dataset.listing()
    assert len(listing.samples) == 3
    assert "2 of 5 samples" in listing.notes[0]
    assert "data[0].paragraphs[0].qas[3]" in listing.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q.pop("question"), r"data\[0\].paragraphs\[0\].qas\[0\] of '.*' has no key 'question'"),
        (lambda q: q.update(id=3), "has 3 at 'id', which is not text"),
        (lambda q: q.update(answers=None), "has None at 'answers', which is not a list"),
        (lambda q: q.update(answers=[{"text": "x", "answer_start": "0"}]), r"answers\[0\] of .* 'answer_start'"),
        (lambda q: q.update(is_impossible="no"), "`is_impossible` that is not true or false"),
    ],
)
def test_damaged_questions(file, change, message):
    damaged = question("1", "When?")
    change(damaged)
    with pytest.raises(DatasetError, match=message):
        write(file, damaged).listing()


def test_an_id_that_occurs_twice(file):
    with pytest.raises(DatasetError, match=r"qas\[0\] and .*qas\[1\] of .* have the same id, '1'"):
        write(file, question("1", "a"), question("1", "b")).listing()


VALID = json.dumps(
    {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b", "qas": [
        question("1", "q", [{"text": "a", "answer_start": 0}]), question("2", "r", [], is_impossible=True)]}]}]}
).encode()  # fmt: skip


@given(st.binary() | mutated(VALID))
def test_damaged_files_give_samples_or_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_bytes(content)
    check_listing(Squad(path=path))


@given(st.lists(st.tuples(JSON, JSON, st.lists(st.fixed_dictionaries({"text": JSON, "answer_start": JSON})), JSON)))
def test_any_values_give_samples_or_errors(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    listing = check_listing(write(path, *(question(i, q, a, is_impossible=p) for i, q, a, p in values)))
    assert listing is None or counted(listing) == len(values)


ANSWERS = st.lists(st.fixed_dictionaries({"text": st.text(max_size=5), "answer_start": st.integers()}), max_size=2)


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=5), ANSWERS, st.booleans()), min_size=1))
def test_no_sample_is_lost(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    listing = check_listing(write(path, *(question(i, q, a, is_impossible=p) for i, q, a, p in values)))
    assert listing is None or counted(listing) == len(values)
