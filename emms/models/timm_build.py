"""Build timm networks: with given weights, with random weights, or without allocating weights. Needs timm and torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import timm
import torch

from emms.models.checkpoints import Tensors
from emms.models.random_weights import building


def skeleton(name: str, **settings: Any) -> torch.nn.Module:
    """Return a network on torch's meta device, with shapes but without allocated weights."""
    with _building(), torch.device("meta"):
        return timm.create_model(name, **settings).eval()


def build(name: str, weights: Tensors, classes: int, own: bool) -> torch.nn.Module:
    """Return a network with these weights, on the meta device if the weights are there.

    own: whether they are a user's weights, for which timm's configuration of the published file does not apply.

    Raises the errors of timm and torch if the weights do not fit.
    """
    overlay: dict[str, Any] = {"state_dict": weights}
    if own:
        overlay |= {"num_classes": classes, "label_offset": 0}
    with _building(), torch.device("meta" if any(t.is_meta for t in weights.values()) else "cpu"):
        module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes).eval()
    module.pretrained_cfg.pop("state_dict", None)  # a second copy of the weights
    return module


def draw(name: str) -> torch.nn.Module:
    """Return a network with the random weights that timm gives it."""
    with _building():
        return timm.create_model(name, pretrained=False)


@contextmanager
def _building() -> Iterator[None]:
    """Build networks one at a time, without timm's warnings: this package checks what they warn about."""
    logger = logging.getLogger("timm")
    with building():
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
