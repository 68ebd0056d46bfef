"""The datasets, by name: each is the part of a spec that describes it, fetched and prepared if it is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ranking.candidates import image_networks, text_networks
from benchmarks.ranking.clip_art import captions, clip_art
from benchmarks.ranking.debian import debian
from benchmarks.ranking.wordnet import definitions


@dataclass(frozen=True)
class Benchmark:
    """A dataset and its candidates. Datasets of one task are in one table."""

    spec: Callable[[Path], dict[str, Any]]
    """From the cache folder to the part of the spec."""
    task: str = "image-classification"
    models: Callable[[Path], list[Any]] = image_networks
    """From the cache folder to the models of the spec."""
    classes: bool = True
    """Whether samples share labels. The truth is then a linear probe, else the rank of the true caption."""
    classifiers: bool = True
    """Whether any candidate has a classifier, whose logits some estimators read."""


def _digits(cache: Path) -> dict[str, Any]:
    return {"dataset": {"format": "digits"}}


def _clip_art(cache: Path) -> dict[str, Any]:
    return {"dataset": {"format": "imagefolder", "path": clip_art(cache)}}


def _fashion(cache: Path) -> dict[str, Any]:
    path = debian("dataset-fashion-mnist", Path("usr/share/datasets/fashion-mnist"), cache)
    return {"dataset": {"format": "fashion-mnist", "path": path}, "limit": 4_000}


def _titles(cache: Path) -> dict[str, Any]:
    return {"dataset": {"format": "jsonl", "path": captions(cache)}}


def _definitions(cache: Path) -> dict[str, Any]:
    return {"dataset": {"format": "text-table", "path": definitions(cache)}}


DATASETS = {
    "digits": Benchmark(_digits),
    "clip-art": Benchmark(_clip_art),
    "fashion-mnist": Benchmark(_fashion),
    "clip-art-titles": Benchmark(_titles, task="image-captioning", classes=False, classifiers=False),
    "wordnet": Benchmark(_definitions, task="text-classification", models=text_networks, classifiers=False),
}
