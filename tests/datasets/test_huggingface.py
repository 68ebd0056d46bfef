"""Hugging Face datasets in folders, as the library itself writes and reads them; the hub is not reached."""

import io
import sys
from pathlib import Path

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from emms.datasets.huggingface import HuggingFace
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import check_listing, counted, mutated


def png(value):
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


PNGS = [png(value) for value in range(4)]
CONTEXT = "It rose in the 1990s."


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    """Let the library write to a temporary folder alone."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))
    datasets.disable_progress_bars()


def saved(folder, columns, features=None, shards=1, split="train"):
    table = datasets.Dataset.from_dict(columns, datasets.Features(features) if features else None)
    datasets.DatasetDict({split: table}).save_to_disk(folder, num_shards={split: shards})
    return HuggingFace(name=str(folder), split=split)


def pairs(dataset):
    """Return each sample with its label."""
    listing = dataset.listing()
    labels = [listing.labels[i] for i in listing.samples["label"]]
    return list(zip(map(dataset.load, listing.samples.to_dicts()), labels, strict=True))


def red(sample):
    return sample.image.getpixel((0, 0))[0]


@pytest.mark.parametrize("shards", [1, 3])
def test_images_and_class_labels(tmp_path, shards):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["zebra", "ant"])}
    images = [{"bytes": data, "path": None} for data in PNGS]
    dataset = saved(tmp_path / "animals", {"image": images, "label": [1, 0, 1, -1]}, features, shards)
    dataset = dataset.for_task("image-classification")
    assert [(s.id, red(s), label) for s, label in pairs(dataset)] == [
        ("train:0", 0, "ant"),
        ("train:1", 1, "zebra"),
        ("train:2", 2, "ant"),
    ]
    listing = dataset.listing()
    assert "1 of 4 samples" in listing.notes[0]
    assert len(set(listing.samples["path"])) == min(shards, 2)  # the fourth row is in the third file
    assert dataset.name == "animals"
    assert HuggingFace.model_validate(dataset.model_dump(mode="json")) == dataset
    named = dataset.model_copy(update={"class_names": ["cat", "dog"]})
    with pytest.raises(DatasetError, match="no name for 1 of 3 labels"):  # -1 has none
        named.listing()


def test_captions_and_paths_of_images(tmp_path):
    (tmp_path / "flickr").mkdir()
    for i, data in enumerate(PNGS):
        (tmp_path / "flickr" / f"{i}.png").write_bytes(data)
    columns = {"image": ["0.png", str(tmp_path / "flickr" / "1.png"), "2.png", None]}
    columns["sentences"] = [["a", "b"], ["c"], [" "], ["e"]]
    dataset = saved(tmp_path / "flickr", columns).model_copy(update={"columns": {"caption": "sentences"}})
    dataset = dataset.for_task("image-captioning")
    records = dataset.listing().samples.to_dicts()
    assert [red(dataset.load(record)) for record in records[:3]] == [0, 0, 1]
    assert [record["caption"] for record in records] == ["a", "b", "c", "e"]
    with pytest.raises(BadSampleError, match="null or empty in column 'image', row 3"):
        dataset.load(records[3])
    outside = saved(tmp_path / "other", columns).model_copy(update={"columns": {"caption": "sentences"}})
    outside = outside.for_task("image-captioning")
    with pytest.raises(DatasetError, match=r"row 1 of .* which leads to .*`root:`"):
        outside.listing()
    assert len(outside.model_copy(update={"root": tmp_path / "flickr"}).listing().samples) == 4


def test_a_folder_of_images_with_metadata(tmp_path):
    (tmp_path / "train").mkdir()
    for i, data in enumerate(PNGS):
        (tmp_path / "train" / f"{i}.png").write_bytes(data)
    lines = [f'{{"file_name": "{i}.png", "caption": "{text}"}}\n' for i, text in enumerate("abcd")]
    (tmp_path / "train" / "metadata.jsonl").write_text("".join(lines))
    dataset = HuggingFace(name=str(tmp_path)).for_task("image-captioning")
    assert [(red(s), label) for s, label in pairs(dataset)] == list(enumerate("abcd"))
    assert set(dataset.listing().samples["path"]) == {str(tmp_path / "train" / f"{i}.png") for i in range(4)}


def test_squad_as_it_is_on_the_hub(tmp_path):
    answers = [{"text": ["rose", "It"], "answer_start": [3, 0]}, {"text": [], "answer_start": []}]
    columns = {"id": ["a", "b"], "context": [CONTEXT] * 2, "question": ["q", "r"], "answers": answers}
    dataset = saved(tmp_path, columns).model_copy(update={"columns": {"answer": "answers"}})
    dataset = dataset.for_task("text-question-answering")
    expected = [("q", CONTEXT, 3, "rose"), ("r", CONTEXT, -1, "unanswerable")]
    assert [(s.text, s.context, s.answer_start, label) for s, label in pairs(dataset)] == expected
    assert set(dataset.listing().samples["path"]) == {""}


def test_boxes(tmp_path):
    features = {
        "image": datasets.Image(),
        "expression": datasets.Value("string"),
        "box": datasets.List(datasets.Value("float32"), length=4),
    }
    boxes = [[20, 10, 40, 20], [100, 50, 200, 100], [300, 0, 10, 10]]
    images = [{"bytes": data, "path": "x.png"} for data in PNGS[:3]]
    dataset = saved(tmp_path, {"image": images, "expression": list("abc"), "box": boxes}, features)
    dataset = dataset.for_task("referring-expression")
    assert [label for _, label in pairs(dataset)] == ["a [100, 100, 300, 300]", "b [500, 500, 999, 999]"]
    assert "1 of 3 samples" in dataset.listing().notes[0]


def test_a_folder_of_parquet_and_one_of_json_lines(tmp_path):
    (tmp_path / "a").mkdir()
    table = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0, 1]})
    table = table.cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    table.to_parquet(tmp_path / "a" / "train-00000-of-00001.parquet")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "test.jsonl").write_text('{"text": "x", "label": "no"}\n{"text": "ÿ", "label": "yes"}\n')
    for folder, split, texts in (("a", "train", ["x", "y"]), ("b", "test", ["x", "ÿ"])):
        dataset = HuggingFace(name=str(tmp_path / folder), split=split).for_task("text-classification")
        assert [(s.text, label) for s, label in pairs(dataset)] == list(zip(texts, ["no", "yes"], strict=True))


def test_a_single_split_that_was_saved(tmp_path):
    datasets.Dataset.from_dict({"text": ["x", "y"], "label": ["b", "a"]}).save_to_disk(tmp_path)
    dataset = HuggingFace(name=str(tmp_path)).for_task("text-classification")
    assert [label for _, label in pairs(dataset)] == ["b", "a"]


def test_what_cannot_be_loaded(tmp_path):
    dataset = saved(tmp_path / "x", {"text": ["a"], "lable": ["b"]}).for_task("text-classification")
    with pytest.raises(DatasetError, match=r"has no column 'label'; did you mean 'lable'\?.*`columns:`"):
        dataset.listing()
    with pytest.raises(DatasetError, match=r"has no split 'trian'; did you mean 'train'\?"):
        dataset.model_copy(update={"split": "trian"}).listing()
    for name in (tmp_path / "nowhere", "no/such-dataset"):
        with pytest.raises(DatasetError, match=f"dataset '{name}' cannot be loaded"):
            HuggingFace(name=str(name)).listing()


def test_code_in_a_folder_is_not_run(tmp_path):
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    with pytest.raises(DatasetError, match="cannot be loaded"):
        HuggingFace(name=str(tmp_path / "evil")).listing()
    assert not (tmp_path / "run").exists()


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetError, match=r"needs the package datasets .*: pip install datasets"):
        HuggingFace(name=str(tmp_path)).listing()


def test_an_image_that_is_an_arrow_file(tmp_path):
    dataset = saved(tmp_path, {"image": ["train/data-00000-of-00001.arrow", "x.arrow"], "label": ["a", "b"]})
    with pytest.raises(DatasetError, match="which is an Arrow file, not an image"):
        dataset.listing()


SCALAR = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
COLUMN = {"image": st.none() | st.sampled_from([*PNGS, b"", b"nonsense"]), "caption": SCALAR, "text": SCALAR}
SLOW = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@SLOW
@given(
    st.sampled_from(["image-captioning", "text-classification"]),
    st.lists(st.fixed_dictionaries({**COLUMN, "label": st.integers(-1, 1)}), min_size=1, max_size=4),
)
def test_no_sample_is_lost(tmp_path_factory, task, rows):
    features = {name: datasets.Value("string") for name in ("caption", "text")}
    features |= {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    columns = {name: [row[name] for row in rows] for name in features}
    columns["image"] = [data if data is None else {"bytes": data, "path": None} for data in columns["image"]]
    dataset = saved(tmp_path_factory.mktemp("fuzz"), columns, features).for_task(task)
    listing = check_listing(dataset)
    if listing is not None:
        assert counted(listing) == len(rows)
        for record in listing.samples.to_dicts():
            try:
                sample = dataset.load(record)
            except BadSampleError:
                continue
            row = rows[int(record["id"].partition(":")[2])]
            assert not hasattr(sample, "image") or PNGS[red(sample)] == row["image"]


@SLOW
@given(st.data())
def test_damaged_folders_give_samples_or_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    dataset = saved(folder, {"text": ["a", "b"], "label": ["x", "y"]}).for_task("text-classification")
    file = data.draw(st.sampled_from(sorted(p for p in Path(folder).rglob("*.json"))))
    file.write_bytes(data.draw(mutated(file.read_bytes())))
    check_listing(dataset)
