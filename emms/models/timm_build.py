"""Build timm networks: with given weights, with random weights, or without allocating weights. Needs timm and torch."""

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

_lock = threading.Lock()


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
    """Build networks one at a time, since random weights use torch's global generator, and restore it afterwards."""
    logger = logging.getLogger("timm")
    with _lock, torch.random.fork_rng(devices=[]):
        level = logger.level
        logger.setLevel(logging.ERROR)  # this package checks what timm warns about
        try:
            yield
        finally:
            logger.setLevel(level)
