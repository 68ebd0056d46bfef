"""VQA v2."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures


def annotation(question, image, answer):
    return {
        "question_type": "what is this",
        "multiple_choice_answer": answer,
        "answers": [{"answer": answer, "answer_confidence": "yes", "answer_id": i} for i in range(1, 11)],
        "image_id": image,
        "answer_type": "other",
        "question_id": question,
    }


HEADER = {
    "info": {"description": "This is v2.0 of the VQA dataset.", "year": 2017},
    "license": {"name": "Creative Commons Attribution 4.0 International License"},
    "data_subtype": "val2014",
}
QUESTIONS = HEADER | {
    "task_type": "Open-Ended",
    "questions": [
        {"image_id": 262148, "question": "Where is he looking?", "question_id": 262148000},
        {"image_id": 262148, "question": "What is this?", "question_id": 262148001},
        {"image_id": 42, "question": "Is it day?", "question_id": 42000},
    ],
}
ANNOTATIONS = HEADER | {
    "annotations": [
        annotation(42000, 42, "Yes"),
        annotation(262148000, 262148, "down"),
        annotation(262148001, 262148, "t-shirt"),
    ]
}
IMAGES = ["COCO_val2014_000000262148.jpg", "COCO_val2014_000000000042.jpg"]


def dataset_in(folder, questions, annotations, **settings):
    pictures(folder / "images", *IMAGES)
    (folder / "questions.json").write_bytes(questions)
    (folder / "annotations.json").write_bytes(annotations)
    return FORMATS.get("vqa-v2")(
        path=folder / "questions.json",
        annotations=folder / "annotations.json",
        images=folder / "images",
        **settings,
    )


@pytest.fixture
def make(tmp_path):
    def dataset(change=lambda questions, annotations: None, **settings):
        questions, annotations = copy.deepcopy(QUESTIONS), copy.deepcopy(ANNOTATIONS)
        change(questions["questions"], annotations["annotations"])
        return dataset_in(tmp_path, json.dumps(questions).encode(), json.dumps(annotations).encode(), **settings)

    return dataset


def test_questions(make):
    listing = make().listing()
    assert column(listing, "id") == [f"{IMAGES[0]}#0", f"{IMAGES[0]}#1", f"{IMAGES[1]}#0"]
    assert column(listing, "text") == ["Where is he looking?", "What is this?", "Is it day?"]
    assert labels(listing) == ["down", "t-shirt", "Yes"]


def test_the_most_frequent_answers(make):
    def change(questions, annotations):
        questions.append(questions[0] | {"question_id": 1})
        annotations.append(annotation(1, 262148, "yes"))

    listing = make(change, top_answers=2).listing()
    assert labels(listing) == ["down", "Yes", "Yes"]
    assert left_out(listing) == 1


def test_questions_without_answer_and_answers_without_question(make):
    def change(questions, annotations):
        del annotations[0]
        annotations.append(annotation(7, 42, "red"))

    dataset = make(change)
    assert dataset.listing().notes == [
        f"1 of 4 samples of '{dataset.source}' have no answer and are left out (questions[2])",
        f"1 of 4 samples of '{dataset.source}' have no question and are left out (annotations[2] of annotations.json)",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda q, a: q.append(q[0]), r"questions\[3\] of .* has the id 262148000 of an earlier question"),
        (lambda q, a: a.append(a[0]), r"annotations\[3\] of '.*annotations.json' answers question 42000 a second time"),
        (lambda q, a: a[1].pop("multiple_choice_answer"), r"annotations\[1\] of .* no key 'multiple_choice_answer'"),
        (lambda q, a: q[1].update(image_id="42"), r"questions\[1\] of '.*questions.json' has '42' at 'image_id'"),
    ],
)
def test_errors_name_the_place(make, change, problem):
    with pytest.raises(DatasetError, match=problem):
        make(change).listing()


@given(st.data())
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    contents = {"questions": json.dumps(QUESTIONS).encode(), "annotations": json.dumps(ANNOTATIONS).encode()}
    name = data.draw(st.sampled_from(list(contents)))
    contents[name] = data.draw(mutated(contents[name]) | st.binary())
    listing = check_listing(dataset_in(tmp_path_factory.getbasetemp(), *contents.values()))
    if listing is not None:
        ids = [
            {item["question_id"] for item in json.loads(text.decode("utf-8-sig"))[k]} for k, text in contents.items()
        ]
        assert len(listing.samples) + left_out(listing) == len(ids[0] | ids[1])
