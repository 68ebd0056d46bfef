"""JSON Lines with the columns of any task."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from emms.datasets.jsonl import JsonLines
from emms.downstream import DOWNSTREAM
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import JSON, check_listing, counted, mutated


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (200, 100), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


def write(folder, *records, **settings):
    file = folder / "train.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return JsonLines(path=file, **settings)


def pairs(dataset):
    """Return each sample with its label."""
    listing = dataset.listing()
    labels = [listing.labels[i] for i in listing.samples["label"]]
    return list(zip(map(dataset.load, listing.samples.to_dicts()), labels, strict=True))


def test_image_classification_is_the_default(folder):
    records = [{"image": "images/0.png", "label": 1}, {"image": "images/1.png", "label": 0}]
    dataset = write(folder, *records, class_names=["red", "green"])
    ((first, label), (second, _)) = pairs(dataset)
    assert (first.id, label) == ("train.jsonl:1", "green")
    assert second.image.getpixel((0, 0)) == (1, 0, 0)


def test_captions_under_another_name_one_or_several(folder):
    dataset = write(
        folder,
        {"image": "0.png", "sentence": ["A dog.", "A  dog\nruns 🐕."]},
        {"image": "1.png", "sentence": "A cat."},
        {"image": "2.png", "sentence": []},
        {"image": "gone.png", "sentence": "Lost."},
        images=folder / "images",
        columns={"caption": "sentence"},
    ).for_task("image-captioning")
    listing = dataset.listing()
    assert listing.samples["id"].to_list() == [f"train.jsonl:{i}" for i in ("1#0", "1#1", "2", "4")]
    assert listing.labels == listing.samples["caption"].to_list() == ["A dog.", "A dog runs 🐕.", "A cat.", "Lost."]
    assert listing.notes[0].startswith("1 of 5 samples")
    assert "1 of 3 images" in listing.notes[1]
    records = listing.samples.to_dicts()
    assert dataset.load(records[1]).caption == "A dog runs 🐕."
    with pytest.raises(BadSampleError, match="cannot be opened"):
        dataset.load(records[3])


def test_answers_of_any_kind(folder):
    answers = ["yes", "Yes", 2, 2.5, True, ["red", "crimson"], None, []]
    records = [{"image": "images/0.png", "question": f"{i}?", "answer": a} for i, a in enumerate(answers)]
    dataset = write(folder, *records).for_task("visual-question-answering")
    assert [label for _, label in pairs(dataset)] == ["yes", "yes", "2", "2.5", "true", "red"]
    assert pairs(dataset)[2][0].text == "2?"
    assert "2 of 8 samples" in dataset.listing().notes[0]
    assert "'yes' and 'Yes'" in dataset.listing().notes[1]


def test_text_question_answering(folder):
    context = "It rose in the 1990s."
    dataset = write(
        folder,
        {"question": "When?", "context": context, "answer": "in the 1990s", "answer_start": 8},
        {"question": "What?", "context": context, "answer": "It"},
        {"question": "Why?", "context": context, "answer": {"text": ["rose"], "answer_start": [3]}},
        {"question": "Who?", "context": context, "answer": {"text": [], "answer_start": []}},
    ).for_task("text-question-answering")
    assert [(s.answer_start, label) for s, label in pairs(dataset)] == [
        (8, "in the 1990s"),
        (-1, "It"),
        (3, "rose"),
        (-1, "unanswerable"),
    ]


def test_text_classification_with_and_without_pairs(folder):
    dataset = write(folder, {"text": "a", "label": "x"}, {"text": "b", "pair": "c", "label": "y"})
    assert [s.context for s, _ in pairs(dataset.for_task("text-classification"))] == ["", "c"]


BOXES = [
    {"image": "0.png", "expression": "left", "box": [20, 10, 40, 20]},
    {"image": "0.png", "expression": "cut off", "box": [150, 90, 500, 500.5]},
    {"image": "0.png", "expression": "scaled", "box": [20, 10, 40, 20], "width": 400, "height": 200},
    {"image": "0.png", "expression": "outside", "box": [300, 10, 320, 20]},
    {"image": "gone.png", "expression": "no image", "box": [20, 10, 40, 20]},
    {"image": "0.png", "expression": " ", "box": [20, 10, 40, 20]},
    {"image": "1.png", "expression": "right", "box": [100, 50, 150, 75]},
]


@pytest.mark.parametrize(
    ("boxes", "cut_off", "labels"),
    [
        ("xywh", "line 2, line 7", ["left [100, 100, 300, 300]", "cut off [750, 900, 999, 999]",
                  "scaled [50, 50, 150, 150]",
                  "right [500, 500, 999, 999]"]),
        ("xyxy", "line 2", ["left [100, 100, 200, 200]", "cut off [750, 900, 999, 999]", "scaled [50, 50, 100, 100]",
                  "right [500, 500, 750, 750]"]),
    ],
)  # fmt: skip
def test_boxes(folder, boxes, cut_off, labels):
    dataset = write(folder, *BOXES, images=folder / "images", boxes=boxes).for_task("referring-expression")
    assert [label for _, label in pairs(dataset)] == labels
    assert [note.partition("' ")[2] for note in dataset.listing().notes] == [
        f"have a box that, read as `boxes: {boxes}`, is empty or outside of the image and are left out (line 4)",
        "have a box whose image, which gives its scale, is missing or damaged and are left out (line 5)",
        "have a blank box or image or expression and are left out (line 6)",
        f"have a box that, read as `boxes: {boxes}`, reaches outside of the image, and is cut off ({cut_off})",
    ]


def test_boxes_relative_to_the_image_are_noticed(folder):
    box = {"image": "0.png", "expression": "left", "box": [0.2, 0.1, 0.4, 0.2]}
    dataset = write(folder, *BOXES[:1], box, images=folder / "images").for_task("referring-expression")
    (note,) = dataset.listing().notes
    assert "1 of 2 samples" in note
    assert "have a box that ends within one pixel; boxes are in pixels, not relative to the image (line 2)" in note


def test_boxes_are_relative_to_the_upright_image(folder):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (200, 100)).save(folder / "rotated.jpg", exif=exif)
    records = [{"image": "rotated.jpg", "expression": e, "box": [0, 0, 50, 100]} for e in "ab"]
    dataset = write(folder, *records).for_task("referring-expression")
    assert pairs(dataset)[0][0].image.size == (100, 200)
    assert pairs(dataset)[0][1] == "a [0, 0, 500, 500]"


@pytest.mark.parametrize(
    ("task", "record", "message"),
    [
        ("image-captioning", {"image": "0.png", "captoin": "x"}, "line 2 of .* no key 'caption'; did you mean 'capt"),
        ("image-captioning", {"image": 3, "caption": "x"}, "image in line 2 of .* not the path"),
        ("image-captioning", {"image": "../0.png", "caption": "x"}, "line 2 of .* names '../0.png', which leads to"),
        ("image-captioning", {"image": "0.png", "caption": {"a": 1}}, r"'caption' in line 2 of .* has \{'a': 1\}"),
        ("referring-expression", {"image": "0.png", "expression": "x", "box": [1, 2]}, "not a list of four numbers"),
        ("referring-expression", {"image": "0.png", "expression": "x", "box": [1, 2, 3, "4"]}, "'4' instead of a fin"),
        ("referring-expression", {"image": "../../x.png", "expression": "x", "box": [1] * 4}, "line 2 of .* outside"),
        (
            "referring-expression",
            {"image": "0.png", "expression": "x", "box": [1] * 4, "width": 0, "height": 9},
            "the image size in line 2 of .* is 0 x 9",
        ),
        ("text-classification", {"text": "x", "label": ["a"]}, r"'label' in line 2 of .* has \['a'\]"),
        (
            "text-question-answering",
            {"question": "q", "context": "c", "answer": "a", "answer_start": "0"},
            "'answer_start' in line 2 of .* is '0', not an integer",
        ),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_used(folder, task, record, message):
    good = {"image": "0.png", "label": "x", "caption": "x", "expression": "x", "box": [1, 1, 9, 9], "text": "x"}
    good |= {"question": "q", "context": "c", "answer": "a"}
    with pytest.raises(DatasetError, match=message):
        write(folder, good, record, images=folder / "images").for_task(task).listing()


def test_tasks_and_columns(folder):
    assert JsonLines.tasks == set(DOWNSTREAM.names())
    dataset = write(folder, columns={"caption": "c"})
    with pytest.raises(ValueError, match=r"names 'caption', which task 'text-classification' does not have \(its col"):
        dataset.for_task("text-classification")
    chosen = dataset.for_task("image-captioning")
    assert chosen.for_task("image-captioning") == chosen
    with pytest.raises(ValueError, match="`task: image-captioning` is not the run's, 'text-classification'"):
        chosen.for_task("text-classification")
    with pytest.raises(ValueError, match=r"'image' and 'label' .* are the same column of the file, 'image'"):
        write(folder, columns={"label": "image"}).for_task("image-classification")
    with pytest.raises(ValueError, match="has no samples for task 'juggling'"):
        dataset.for_task("juggling")
    with pytest.raises(DatasetError, match="`class_names:` is set, but the labels of task 'image-captioning' are not"):
        write(folder, {"image": "images/0.png", "caption": "x"}, class_names=["x"]).for_task(
            "image-captioning"
        ).listing()


def test_half_characters_in_the_name_of_an_image(folder):
    records = [{"image": name, "expression": "x", "box": [1, 1, 9, 9]} for name in ("0.png", "../images/\ud800.png")]
    listing = write(folder, *records, images=folder / "images").for_task("referring-expression").listing()
    assert listing.notes[0].startswith("1 of 2 samples")


TASKS = """
from dataclasses import dataclass
from emms.downstream import Sample
from emms.downstream.class_labels import ClassLabels

@dataclass(frozen=True)
class Claim(Sample):
    text: str
    context: str

class FactChecking(ClassLabels):
    name, sample, columns = "fact-checking", Claim, {"claim": "text", "evidence": "context"}
    label_column, template, throughput = "verdict", "{label}", "claims/s"

@dataclass(frozen=True)
class Sound(Sample):
    wave: object

class Tagging(ClassLabels):
    name, sample, columns, template, throughput = "tagging", Sound, {"wave": "wave"}, "{label}", "s/s"
"""


def test_tasks_of_other_packages(folder, install):
    entry_points = "[emms.downstream]\nfact-checking = more_tasks:FactChecking\ntagging = more_tasks:Tagging\n"
    install("more-tasks", entry_points, more_tasks=TASKS)
    assert JsonLines.tasks == {*DOWNSTREAM.names()} - {"tagging"}
    records = [{"claim": "a", "evidence": "b", "verdict": v} for v in (True, False)]
    dataset = write(folder, *records).for_task("fact-checking")
    assert [(s.text, s.context, label) for s, label in pairs(dataset)] == [("a", "b", "true"), ("a", "b", "false")]


@given(st.binary() | mutated(json.dumps(BOXES[0]).encode() + b"\r\n" + json.dumps(BOXES[3]).encode()))
def test_damaged_files_give_samples_or_errors(tmp_path_factory, content):
    root = tmp_path_factory.mktemp("fuzz")
    (root / "x.jsonl").write_bytes(content)
    Image.new("RGB", (200, 100)).save(root / "0.png")
    check_listing(JsonLines(path=root / "x.jsonl").for_task("referring-expression"))


NAMES = ["image", "label", "caption", "question", "answer", "context", "answer_start", "expression", "box", "width"]
VALUES = JSON | st.sampled_from(
    ["0.png", "../0.png", "/etc/hosts", [1, 2, 3, 4], [-1e300, 0, 1e300, 5], 10**400, ["a"]]
)
RECORD = st.fixed_dictionaries(dict.fromkeys((*NAMES, "height", "text", "pair"), VALUES))


@given(st.sampled_from(DOWNSTREAM.names()), st.lists(RECORD, min_size=1, max_size=4))
def test_any_values_give_samples_or_errors(tmp_path_factory, task, records):
    root = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (200, 100)).save(root / "0.png")
    dataset = write(root, *records).for_task(task)
    listing = check_listing(dataset)
    if listing is not None:
        several = sum(max(len(r["caption"]), 1) - 1 for r in records if isinstance(r["caption"], list))
        assert counted(listing) == len(records) + (several if task == "image-captioning" else 0)
        for record in listing.samples.to_dicts():
            try:
                dataset.load(record)
            except BadSampleError:
                continue
