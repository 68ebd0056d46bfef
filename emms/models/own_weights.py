"""User checkpoints: check whether they fit an architecture, once for each content of a file.

The result is stored in the user's cache under the file's SHA-256, so that a checkpoint that was checked is not read
again until it is loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emms import user_cache
from emms.errors import ModelError, shortened
from emms.models.architectures import Architecture

if TYPE_CHECKING:
    import torch

    from emms.models.checkpoints import Tensors

VERSION = 1  # of the checks

_lock = threading.Lock()


class Fit(NamedTuple):
    """Location of the network in a checkpoint."""

    prefix: str
    """Prefix of the names of its tensors, such as `state_dict/model.`."""
    classes: int
    """Number of classes of its classifier; 0 if it has none that fits the architecture."""


class OwnWeights:
    """A checkpoint for an architecture.

    path: the file.
    name, known: the architecture's name and facts.
    shown_as: the model's name in messages.
    """

    def __init__(self, path: Path, name: str, known: Architecture, shown_as: str) -> None:
        self._path, self._name, self._known, self._shown_as = path, name, known, shown_as

    def check(self, digest: Callable[[Path], str]) -> Fit:
        """Return how the checkpoint fits the architecture; read it only if its content was not checked before.

        digest: returns a file's SHA-256.

        Raises ModelError if it does not fit, contains nan or infinity, or is not a checkpoint.
        """
        path = self._path
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not a file" if path.exists() else "does not exist"
            raise ModelError(f"checkpoint '{path}' {what}; give the path of a .safetensors or .pth file")
        with _lock:  # so that threads that check several layers of a network read it once
            try:
                before = _state(path)
                key = {"sha256": digest(path), "name": self._name, "version": VERSION}
                key |= {package: version(package) for package in ("timm", "torch")}
                fields = user_cache.read("checkpoints", key)
                if fields is None:
                    fit, tensors = self._read()
                    if _state(path) != before:
                        raise ModelError(f"checkpoint '{path}' is being written; wait until it is complete")
                    fields = fit._asdict()
                    user_cache.write("checkpoints", key, fields)
                    self._cache(tensors)
            except OSError as cause:
                raise ModelError(f"checkpoint '{path}' cannot be read: {cause.strerror or cause}") from cause
        return Fit(**fields)

    def load(self, fit: Fit) -> torch.nn.Module:
        """Return the network with the checkpoint's weights. Raises ModelError if they do not fit."""
        from emms.models.checkpoints import read_weights

        return self._built(self._part(read_weights(self._path), fit.prefix), fit)

    def _cache(self, tensors: Tensors) -> None:
        from emms.models.checkpoints import cache_tensors

        cache_tensors(self._path, tensors)

    def _read(self) -> tuple[Fit, Tensors]:
        from emms.models import checkpoints
        from emms.models.timm_build import skeleton

        what = f"checkpoint '{self._path}' of model '{self._shown_as}'"
        tensors = checkpoints.read_weights(self._path)
        expected = skeleton(self._name).state_dict()
        fit = Fit(checkpoints.find_network(tensors, expected, what), 0)
        weights = self._part(tensors, fit.prefix)
        for head in self._known.classifier:
            if f"{head}.weight" in weights:
                fit = fit._replace(classes=int(weights[f"{head}.weight"].shape[0]))
                break
        checkpoints.check_values(weights, expected, what)
        self._check_fit(weights, fit)
        return fit, tensors

    def _part(self, tensors: Tensors, prefix: str) -> Tensors:
        """Return the network's tensors, without a head that is not of the architecture's kind."""
        from emms.models.checkpoints import under

        weights = under(tensors, prefix)
        other_heads = tuple(f"{head}." for head in self._known.classifier if f"{head}.weight" not in weights)
        return {name: tensor for name, tensor in weights.items() if not name.startswith(other_heads)}

    def _check_fit(self, weights: Tensors, fit: Fit) -> None:
        from emms.models.timm_build import build

        try:
            build(self._name, {name: tensor.to("meta") for name, tensor in weights.items()}, fit.classes, own=True)
        except Exception:  # timm may need values, not only shapes, to convert the format of another library
            self._built(weights, fit)

    def _built(self, weights: Tensors, fit: Fit) -> torch.nn.Module:
        from emms.models.checkpoints import differences
        from emms.models.timm_build import build, skeleton

        try:
            return build(self._name, weights, fit.classes, own=True)
        except Exception as cause:
            differing = differences(weights, skeleton(self._name, num_classes=fit.classes).state_dict())
            prefix = f", without the prefix '{fit.prefix}' of its names," if fit.prefix else ""
            raise ModelError(
                f"checkpoint '{self._path}'{prefix} does not fit model '{self._shown_as}': "
                f"it {differing or f'cannot be loaded ({shortened(cause)})'}; name the architecture it was trained with"
            ) from cause


def _state(path: Path) -> tuple[int, ...]:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
