"""Generated scenes: pictures of coloured shapes, and texts, with the labels of any downstream task.

Sample i is drawn from the seed and i alone. For demos and tests, which need no download.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self, cast, get_args

import numpy as np
import polars as pl
from pydantic import Field

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.scene_graph import SIDE, Scene, draw_scene, random_numbers
from emms.datasets.scene_language import caption, expression
from emms.datasets.scene_pictures import box, draw_picture
from emms.datasets.scene_questions import question
from emms.datasets.scene_texts import passage, sentence
from emms.downstream import Sample, downstream
from emms.downstream.boxes import Box, box_label, in_bins

Task = Literal[
    "image-classification",
    "image-captioning",
    "visual-question-answering",
    "referring-expression",
    "text-question-answering",
    "text-classification",
]

VERSION = 3
"""Version of the pictures and of what is said about them. Raise it if either changes for the same seed."""

_SCENE, _PICTURE, _LANGUAGE = range(3)  # purposes of random numbers


class Scenes(Dataset):
    """Generated scenes with samples of any downstream task."""

    tasks: ClassVar[frozenset[str]] = frozenset(get_args(Task))

    format: Literal["scenes"] = "scenes"
    task: Task | None = Field(None, description="The downstream task of the samples. The default is that of the run.")
    n: int = Field(1000, ge=1, le=10**6, description="The number of samples.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="The seed of the scenes.")

    def for_task(self, task: str) -> Self:
        """Return the same scenes with samples of a downstream task.

        Raises ValueError if there are none, or if the setting `task` names another.
        """
        super().for_task(task)
        if self.task not in {None, task}:
            raise ValueError(f"dataset has `task: {self.task}`, and the run `task: {task}`; remove the former")
        return self.model_copy(update={"task": task})

    def listing(self) -> Listing:
        """List the samples without drawing their pictures: the position of a sample is the number of its scene."""
        return _listing(self._task, self.n, self.seed)

    def load(self, record: dict[str, Any]) -> Sample:
        """Load one sample: draw its picture, if the task has images."""
        task = downstream(self._task)
        values = {field.name: record[field.name] for field in fields(task.sample) if field.name in record}
        if "image" in task.inputs():
            index = record["position"]
            scene = draw_scene(random_numbers(self.seed, index, _SCENE))
            values["image"] = draw_picture(scene, random_numbers(self.seed, index, _PICTURE))
        return task.sample(**values)

    def reading(self) -> dict[str, Any]:
        """Return what determines the picture at a position."""
        return {"format": self.format, "version": VERSION, "seed": self.seed}

    @property
    def _task(self) -> Task:
        return self.task or "image-classification"


_Said = tuple[str, dict[str, Any]]  # the label of a sample, and its fields other than the image


def _class_of_picture(scene: Scene, rng: np.random.Generator) -> _Said:
    return scene.things[0].shape, {}


def _caption(scene: Scene, rng: np.random.Generator) -> _Said:
    text = caption(scene, rng)
    return text, {"caption": text}


def _question(scene: Scene, rng: np.random.Generator) -> _Said:
    text, answer = question(scene, rng)
    return answer, {"text": text}


def _expression(scene: Scene, rng: np.random.Generator) -> _Said:
    text, thing = expression(scene, rng)
    bins = cast(Box, in_bins(*box(thing), SIDE, SIDE))  # not None, since objects are within the picture
    return box_label(text, bins), {"text": text}


def _passage(scene: Scene, rng: np.random.Generator) -> _Said:
    said = passage(scene, rng)
    return said.answer, {"text": said.question, "context": said.text, "answer_start": said.start}


def _class_of_text(scene: Scene, rng: np.random.Generator) -> _Said:
    return scene.place, {"text": sentence(scene, rng)}


_SAY: dict[Task, Callable[[Scene, np.random.Generator], _Said]] = {
    "image-classification": _class_of_picture,
    "image-captioning": _caption,
    "visual-question-answering": _question,
    "referring-expression": _expression,
    "text-question-answering": _passage,
    "text-classification": _class_of_text,
}


@lru_cache(maxsize=4)  # a run lists its samples several times
def _listing(task: Task, n: int, seed: int) -> Listing:
    said = [
        _SAY[task](draw_scene(random_numbers(seed, i, _SCENE)), random_numbers(seed, i, _LANGUAGE)) for i in range(n)
    ]
    texts = dict.fromkeys(label for label, _ in said)
    labels = sorted(texts) if downstream(task).classes else list(texts)
    index = {label: number for number, label in enumerate(labels)}
    columns = {
        "id": [f"scene-{i:06}" for i in range(n)],
        "label": [index[label] for label, _ in said],
        "path": [""] * n,
        "position": range(n),
        **{name: [more[name] for _, more in said] for name in said[0][1]},
    }
    more = {name: pl.Int64() if name == "answer_start" else pl.String() for name in said[0][1]}
    return Listing(pl.DataFrame(columns, {**LISTING, **more}), labels)
