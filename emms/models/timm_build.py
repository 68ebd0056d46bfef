"""Networks of timm, built: with weights, with random weights, or without memory for weights. Needs timm and torch."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import timm
import torch

from emms.models.checkpoints import Tensors

_one_at_a_time = threading.Lock()


def skeleton(name: str, **settings: Any) -> torch.nn.Module:
    """Return a network on torch's meta device: it has shapes, but no memory for weights."""
    with _building(), torch.device("meta"):
        return timm.create_model(name, **settings).eval()


def build(name: str, weights: Tensors, classes: int, own: bool) -> torch.nn.Module:
    """Return a network with these weights.

    own: they were not published under this name, so what timm knows of the published file does not hold for them.

    On the meta device if the weights are. Raises what timm and torch raise when the weights do not fit.
    """
    overlay: dict[str, Any] = {"state_dict": weights}
    if own:
        overlay |= {"num_classes": classes, "label_offset": 0}
    with _building(), torch.device("meta" if any(t.is_meta for t in weights.values()) else "cpu"):
        module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes).eval()
    module.pretrained_cfg.pop("state_dict", None)  # a second copy of the weights
    return module


def draw(name: str, seed: int) -> torch.nn.Module:
    """Return a network with the random weights that timm gives it after `torch.manual_seed(seed)`."""
    with _building():
        torch.default_generator.manual_seed(seed)
        return timm.create_model(name, pretrained=False).eval()


def digest(module: torch.nn.Module) -> str:
    """Return the SHA-256 of a network's parameters and buffers: names, types, shapes and bytes, sorted by name."""
    sha256 = hashlib.sha256()
    tensors = chain(module.named_parameters(), module.named_buffers())
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        sha256.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha256.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


@contextmanager
def _building() -> Iterator[None]:
    """Build networks one at a time: random weights come from torch's global generator, which is restored afterwards."""
    logger = logging.getLogger("timm")
    with _one_at_a_time, torch.random.fork_rng(devices=[]):
        level = logger.level
        logger.setLevel(logging.ERROR)  # what it warns of is checked here
        try:
            yield
        finally:
            logger.setLevel(level)
