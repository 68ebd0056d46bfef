"""Scenes as a dataset: the samples of each task, the same on every machine."""

import hashlib
import json
from typing import get_args

import numpy as np
import pytest

from emms.datasets.samples import confirm, list_samples
from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scenes import Scenes, Task
from emms.downstream import downstream
from emms.downstream.boxes import parse_box
from emms.store import Store
from tests.datasets.scene_truth import EXPRESSION, seen

TASKS = get_args(Task)


def rows(task: str, n: int, seed: int = 0) -> list[dict]:
    listing = Scenes(task=task, n=n, seed=seed).listing()
    return [{**row, "label": listing.labels[row["label"]]} for row in listing.samples.iter_rows(named=True)]


@pytest.mark.parametrize("task", TASKS)
def test_samples_of_each_task(task):
    dataset = Scenes(n=30).for_task(task)
    listing, kind = dataset.listing(), downstream(task)
    assert len(listing.samples) == listing.samples["id"].n_unique() == 30
    kind.check(listing.labels, np.bincount(listing.samples["label"]))
    assert listing.notes == kind.notes(listing.labels, 30) == []
    for row in listing.samples.iter_rows(named=True):
        sample = dataset.load(row)
        assert type(sample) is kind.sample
        assert sample.id == row["id"]
        if "image" in kind.inputs():
            assert (sample.image.mode, sample.image.size) == ("RGB", (224, 224))


def test_the_label_of_a_picture_is_the_shape_of_its_largest_object():
    for row in rows("image-classification", 50):
        (shape,) = [t.shape for t in draw_scene(random_numbers(0, row["position"], 0)).things if t.size == "large"]
        assert row["label"] == shape


def test_the_box_of_an_expression_is_that_of_one_object_in_the_picture():
    dataset = Scenes(task="referring-expression", n=60)
    for row in dataset.listing().samples.iter_rows(named=True):
        box = np.array(parse_box(dataset.listing().labels[row["label"]])) * 224 / 1000
        (found,) = [one for one in seen(dataset.load(row).image) if np.allclose(one.box, box, atol=3)]
        _, size, colour, *_ = EXPRESSION.fullmatch(row["text"]).groups()
        assert size in {None, found.size}
        assert colour in {None, found.colour}


def test_a_caption_is_its_own_label():
    assert all(row["label"] == row["caption"] for row in rows("image-captioning", 20))


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_depends_on_its_seed_and_number_alone(task):
    assert rows(task, 5) == rows(task, 20)[:5]
    assert rows(task, 5) != rows(task, 5, seed=1)


def test_samples_are_the_same_on_every_machine():
    """If you change them, raise `VERSION` of emms/datasets/scenes.py."""
    digests = {task: hashlib.sha256(json.dumps(rows(task, 50)).encode()).hexdigest()[:16] for task in TASKS}
    assert digests == {
        "image-classification": "0f6dbbfcf9c3eac0",
        "image-captioning": "57a1014a41fc4e9f",
        "visual-question-answering": "3e3b062568a3dea0",
        "referring-expression": "449f6843b14b7ccd",
        "text-question-answering": "d5eae432301e9e12",
        "text-classification": "26ba11b26fe1a022",
    }


def listed(dataset: Scenes, store: Store, limit: int | None = None):
    return list_samples(dataset, downstream(dataset.task), store, limit=limit, seed=0, on_bad_sample="stop")


@pytest.mark.parametrize("task", TASKS)
def test_samples_without_files_are_listed_and_confirmed(task, tmp_path):
    dataset, store = Scenes(task=task, n=60), Store(str(tmp_path))
    samples, new = listed(dataset, store, limit=50)
    assert new
    records = samples.records(dataset, store).to_dicts()
    assert len(records) == 50
    confirm(records, 0)
    again, new = listed(dataset, store, limit=50)
    assert not new
    assert again.fingerprint == samples.fingerprint


def test_pictures_have_other_contents_with_another_seed_but_not_for_another_task(tmp_path):
    store = Store(str(tmp_path))
    datasets = [Scenes(task="image-captioning", n=9, seed=seed) for seed in range(3)]
    assert len({listed(dataset, store)[0].contents for dataset in datasets}) == 3
    questions = Scenes(task="visual-question-answering", n=9)
    assert listed(questions, store)[0].contents == listed(datasets[0], store)[0].contents


def test_the_task_is_that_of_the_run():
    assert Scenes().for_task("image-captioning") == Scenes(task="image-captioning")
    with pytest.raises(ValueError, match="has `task: image-captioning`, and the run `task: text-cl"):
        Scenes(task="image-captioning").for_task("text-classification")
    with pytest.raises(ValueError, match="no samples for task 'audio-tagging'"):
        Scenes().for_task("audio-tagging")
