"""Parquet files with the columns of tasks other than image classification."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emms.datasets.parquet import ParquetImages
from emms.downstream import DOWNSTREAM
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import check_listing, counted

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(value):
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


PNGS = [png(value) for value in range(4)]
IMAGES = {
    "bytes": pa.array(PNGS),
    "structs": pa.array([{"bytes": data, "path": "x.png"} for data in PNGS], CELL),
    "paths": pa.array([f"{i}.png" for i in range(4)]),
    "both": pa.array([{"bytes": PNGS[0], "path": None}, *({"bytes": None, "path": f"{i}.png"} for i in "123")], CELL),
}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    for i, data in enumerate(PNGS):
        (tmp_path / f"{i}.png").write_bytes(data)
    return tmp_path / "train.parquet"


def write(file, table, features=None, **settings):
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    pq.write_table(pa.table(table).replace_schema_metadata(metadata), file, row_group_size=3)
    return ParquetImages(path=file, **settings)


def pairs(dataset):
    """Return each sample with its label."""
    listing = dataset.listing()
    labels = [listing.labels[i] for i in listing.samples["label"]]
    return list(zip(map(dataset.load, listing.samples.to_dicts()), labels, strict=True))


def red(sample):
    return sample.image.getpixel((0, 0))[0]


@pytest.mark.parametrize("kind", IMAGES)
def test_captions_of_images_of_any_kind(file, kind):
    captions = [["one", "two"], ["three"], [None], ["four"]]
    dataset = write(file, {"picture": IMAGES[kind], "caption": captions}, image_column="picture")
    dataset = dataset.for_task("image-captioning")
    read = pairs(dataset)
    assert [(s.id, red(s), s.caption, label) for s, label in read] == [
        ("train.parquet:0#0", 0, "one", "one"),
        ("train.parquet:0#1", 0, "two", "two"),
        ("train.parquet:1", 1, "three", "three"),
        ("train.parquet:3", 3, "four", "four"),
    ]
    assert "1 of 5 samples" in dataset.listing().notes[0]


@pytest.mark.parametrize("kind", IMAGES)
def test_boxes_with_the_size_in_the_image(file, kind):
    columns = {"image": IMAGES[kind], "sentence": list("abcd"), "bbox": [[20.0, 10.0, 40.0, 20.0]] * 4}
    settings = {"columns": {"expression": "sentence", "box": "bbox"}, "boxes": "xyxy"}
    dataset = write(file, columns, **settings).for_task("referring-expression")
    assert [label for _, label in pairs(dataset)] == [f"{text} [100, 100, 200, 200]" for text in "abcd"]


def test_questions_with_names_of_classes(file):
    features = {"answer": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    columns = {"image": IMAGES["bytes"], "question": ["q", "r", "s", "t"], "answer": [1, 0, 1, None]}
    dataset = write(file, columns, features).for_task("visual-question-answering")
    assert [(s.text, red(s), label) for s, label in pairs(dataset)] == [
        ("q", 0, "yes"),
        ("r", 1, "no"),
        ("s", 2, "yes"),
    ]


def test_squad_as_hugging_face_publishes_it(file):
    context = "It rose in the 1990s."
    answers = [{"text": ["rose", "It"], "answer_start": [3, 0]}, {"text": [], "answer_start": []}]
    columns = {
        "id": ["a", "b"],
        "title": ["t"] * 2,
        "context": [context] * 2,
        "question": ["q", "r"],
        "answers": answers,
    }
    dataset = write(file, columns, label_column="answers").for_task("text-question-answering")
    assert [(s.text, s.context, s.answer_start, label) for s, label in pairs(dataset)] == [
        ("q", context, 3, "rose"),
        ("r", context, -1, "unanswerable"),
    ]
    assert set(dataset.listing().samples["path"]) == {""}
    assert dataset.reading() == {"format": "parquet"}


def test_text_classification_over_several_files(file):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    for name, label in (("a", 1), ("b", 0)):
        write(file.with_name(f"{name}.parquet"), {"text": [name], "label": [label]}, features)
    dataset = ParquetImages(path=file.parent).for_task("text-classification")
    assert [(s.id, s.text, label) for s, label in pairs(dataset)] == [
        ("a.parquet:0", "a", "pos"),
        ("b.parquet:0", "b", "neg"),
    ]
    write(file.with_name("c.parquet"), {"text": ["c"], "label": [1]})
    with pytest.raises(DatasetError, match="have different class names"):
        dataset.listing()


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("image-captioning", {}, r"no column 'caption'; did you mean 'captions'\?.*`columns:`"),
        ("image-captioning", {"label_column": "capt"}, r"no column 'capt'; did you mean .*`label_column:`"),
        ("image-captioning", {"label_column": "captions", "image_column": "img"}, "no column 'img'.*`image_column:`"),
        ("image-captioning", {"label_column": "captions", "image_column": "when"}, "'when' of .* has type timestamp"),
        (
            "text-classification",
            {"columns": {"text": "captions"}, "label_column": "when"},
            "'when' in row 0 of .* neither",
        ),
        ("text-classification", {"columns": {"text": "captions"}, "label_column": "odd"}, "'odd' of .* cannot be read"),
    ],
)
def test_columns_that_cannot_be_used(file, task, settings, message):
    when = pa.array([0] * 4, pa.timestamp("s"))
    odd = pa.array([2**53] * 4, pa.timestamp("ms"))
    dataset = write(file, {"image": IMAGES["bytes"], "captions": list("abcd"), "when": when, "odd": odd}, **settings)
    with pytest.raises(DatasetError, match=message):
        dataset.for_task(task).listing()


def test_two_settings_for_one_column(file):
    for settings in (
        {"image_column": "a", "columns": {"image": "b"}},
        {"label_column": "a", "columns": {"caption": "b"}},
    ):
        with pytest.raises(ValueError, match="both name the column of"):
            ParquetImages(path=file, **settings).for_task("image-captioning")


SCALAR = st.none() | st.text(max_size=4)
COLUMN = {
    "image": st.none() | st.sampled_from([*PNGS, b"", b"nonsense"]),
    "text": SCALAR,
    "question": SCALAR,
    "context": SCALAR,
    "expression": SCALAR,
    "label": st.none() | st.integers(-2, 3),
    "answer": st.none() | st.lists(st.text(max_size=3), max_size=2),
    "caption": st.none() | st.lists(SCALAR, max_size=2),
    "box": st.none() | st.lists(st.floats(), min_size=4, max_size=4),
}


@given(st.sampled_from(DOWNSTREAM.names()), st.lists(st.fixed_dictionaries(COLUMN), min_size=1, max_size=5))
def test_any_cells_give_samples_or_errors(tmp_path_factory, task, rows):
    file = tmp_path_factory.mktemp("fuzz") / "x.parquet"
    dataset = write(file, {name: [row[name] for row in rows] for name in COLUMN}).for_task(task)
    listing = check_listing(dataset)
    if listing is None:
        return
    several = sum(max(len(row["caption"] or []), 1) - 1 for row in rows) if task == "image-captioning" else 0
    assert counted(listing) == len(rows) + several
    for record in listing.samples.to_dicts():
        try:
            loaded = dataset.load(record)
        except BadSampleError:
            continue
        row = rows[int(record["id"].partition(":")[2].partition("#")[0])]
        assert not hasattr(loaded, "image") or PNGS[red(loaded)] == row["image"]


@given(st.data())
def test_files_that_are_cut_off_are_errors(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("fuzz") / "x.parquet"
    dataset = write(file, {"image": IMAGES["structs"], "caption": [["a"], ["b", "c"], ["d"], ["e"]]})
    content = file.read_bytes()
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert check_listing(dataset.for_task("image-captioning")) is None
