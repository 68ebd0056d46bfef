"""Any network of timm (PyTorch Image Models, Wightman 2019), at any of its modules."""

from __future__ import annotations

import fnmatch
from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

import numpy as np

from emms import hub
from emms.downstream.image_classification import ImageSample
from emms.errors import ModelError, UnavailableError, UnreachableError, did_you_mean
from emms.models.architectures import BUILDING, Architecture, look_up
from emms.models.base import Candidate, Digests, Forward

# timm and torch are imported where they are needed, since that takes ten seconds: see emms.models.architectures.
if TYPE_CHECKING:
    import torch

VERSION = 1  # of everything here that changes what a feature is


class TimmNetwork(Candidate):
    """`timm:NAME`: an architecture, with a tag for its weights where it has several (`resnet50.a1_in1k`)."""

    @property
    def architecture(self) -> str:
        """The name that timm knows, with its tag."""
        return self.spec.name

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return architectures, alone (which means their default weights) and with each tag of published weights."""
        import timm

        return sorted(fnmatch.filter({*timm.list_models(), *timm.list_pretrained()}, pattern))

    def check(self) -> None:
        """Raise ModelError if the name, layer, pooling or checkpoint cannot be."""
        known, layer = self._known, self.spec.layer
        if self.spec.pretrained and not self.spec.checkpoint:
            self._check_published()
        if layer is not None and layer not in known.modules:
            top = [name for name in known.modules if name.count(".") < 2]
            near = did_you_mean(layer, known.modules) or f"; it has {', '.join(top[:12])}, …"
            raise ModelError(f"model '{self.spec.id}' has no module '{layer}'{near}")
        if self.spec.pool == "token" and not known.class_token:
            raise ModelError(f"model '{self.spec.id}' has no class token to pool by; use `pool: mean`")
        if self.spec.pool == "logits" and (layer is not None or not known.classes):
            stops = f"stops at '{layer}', before its classifier" if layer else "has no classifier"
            raise ModelError(f"model '{self.spec.id}' {stops}, so it has no logits")
        if self.spec.checkpoint:
            self._build()

    def _check_published(self) -> None:
        if not {"hf_hub_id", "url"} & self._known.published.keys():
            raise ModelError(
                f"model '{self.spec.id}' has no published weights; "
                f"give a `checkpoint:`, or `pretrained: false` to use it as a control"
            )

    def size(self) -> tuple[int, int]:
        """Return (features before the head, parameters)."""
        return self._known.features, self._known.parameters

    def network(self, digests: Digests) -> dict[str, Any]:
        """Return the architecture and what its weights are."""
        known = {"family": "timm", "version": VERSION, "architecture": self.architecture.partition(".")[0]}
        weights = self._weights()
        if weights is None:
            return {**known, "untrained": self.spec.seed}
        try:
            return {**known, "weights": digests([str(weights)])[0]}
        except OSError as cause:
            raise ModelError(f"weights of model '{self.spec.id}' cannot be read: {cause}") from cause

    def preprocessing(self) -> dict[str, Any]:
        """Return timm's data configuration of the network."""
        return {"decode": "rgb", **self._known.preprocessing}

    def sharing(self) -> Hashable:
        """Return what resizing and cropping depend on; mean and deviation are applied to the batch, by each network."""
        config = dict(self._data_config)
        if config.get("crop_mode") != "border":  # which pads with the mean
            del config["mean"]
        del config["std"]
        return tuple(sorted(config.items()))

    def prepare(self, sample: ImageSample) -> np.ndarray:
        """Return the resized and cropped image, (3, H, W), uint8."""
        return np.asarray(self._transform(sample.image))

    def load(self, device: torch.device) -> Forward:
        """Load the network onto a device, ready to infer."""
        from emms.models.timm_forward import TimmForward

        return TimmForward(self._build(), self._data_config, device, self.spec.id)

    @cached_property
    def _known(self) -> Architecture:
        return look_up(self.architecture, self.spec.id, self.store)

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in self._known.preprocessing.items()}

    @cached_property
    def _transform(self) -> Any:
        from timm.data.transforms_factory import create_transform

        # timm's own chain up to, and without, the conversion to float, which is cheaper on a batch on the device.
        return create_transform(**self._data_config, use_prefetcher=True)

    def _weights(self) -> Path | None:
        """Return the local file that holds the weights, downloaded if need be; None for random ones."""
        if not self.spec.pretrained:
            return None
        if self.spec.checkpoint:
            return self.spec.checkpoint
        self._check_published()
        try:
            return _download(self._known.published)
        except Exception as cause:  # hub and network libraries have many kinds of errors
            kind = UnreachableError if isinstance(cause, UnreachableError) else UnavailableError
            raise kind(
                f"weights of model '{self.spec.id}' cannot be had: {_shortened(cause)}; mend the network, fill the "
                f"hub's local cache elsewhere and use it with HF_HUB_OFFLINE=1, give a `checkpoint:`, or take networks "
                f"that need no hub (emms models 'packaged:*')"
            ) from cause

    def _build(self) -> torch.nn.Module:
        weights = self._weights()
        import timm
        import torch

        overlay = self._overlay(weights) if weights else {}
        classes = overlay.get("num_classes", self._known.classes)  # may build the network, too, so not under the lock
        with BUILDING, torch.random.fork_rng(devices=[]):
            if weights is None:
                # Without its tag, which may stand for another number of classes and so for other random numbers.
                torch.default_generator.manual_seed(self.spec.seed)
                return timm.create_model(self.architecture.partition(".")[0], pretrained=False).eval()
            try:
                module = timm.create_model(
                    self.architecture,
                    pretrained=True,
                    pretrained_cfg_overlay=overlay,
                    num_classes=classes,
                )
            except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as cause:
                raise ModelError(
                    f"checkpoint '{weights}' does not fit model '{self.spec.id}': {_shortened(cause)}; "
                    f"name the architecture it was trained with"
                ) from cause
        _check_finite(module, f"checkpoint '{weights}' of model '{self.spec.id}'")
        return module.eval()

    def _overlay(self, weights: Path) -> dict[str, Any]:
        """Return what timm must be told to take these weights and no others."""
        if not self.spec.checkpoint:
            return {"file": str(weights)}
        # One's own checkpoint has one's own number of classes, and none if it has no head.
        classes = self._classes(read_state_dict(weights))
        return {"file": str(weights), "num_classes": classes, "custom_load": False, "label_offset": 0}

    def _classes(self, state: dict[str, torch.Tensor]) -> int:
        for head in self._known.classifier:
            if f"{head}.weight" in state:
                return int(state[f"{head}.weight"].shape[0])
        return 0


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint, safetensors or a PyTorch state dict; nothing in it is executed.

    Raises ModelError if it is missing, no checkpoint, or holds anything but weights.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise ModelError(f"checkpoint '{path}' {what}; give the path of a .safetensors or .pth file")
    if not path.stat().st_size:
        raise ModelError(f"checkpoint '{path}' is an empty file; save or copy it again")
    import timm

    try:
        return timm.models.load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as cause:  # a file can be broken in as many ways as there are formats
        reason = "it holds no tensors by name" if isinstance(cause, AttributeError) else _shortened(cause)
        raise ModelError(
            f"checkpoint '{path}' cannot be read as weights alone: {reason}; save the state dict with "
            f"safetensors.torch.save_file(model.state_dict(), 'mine.safetensors')"
        ) from cause


def _download(published: dict[str, str]) -> Path:
    if "hf_hub_id" in published:
        repository, _, revision = published["hf_hub_id"].partition("@")
        named = published.get("hf_hub_filename")
        return hub.fetch(repository, [named] if named else ["model.safetensors", "pytorch_model.bin"], revision or None)
    import huggingface_hub
    import timm

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise UnreachableError("offline mode is on (HF_HUB_OFFLINE)")
    try:
        return Path(timm.models._hub.download_cached_file(published["url"]))
    except HTTPError:
        raise
    except URLError as cause:
        raise UnreachableError(f"{published['url']} cannot be reached ({cause.reason})") from cause


def _check_finite(module: torch.nn.Module, what: str) -> None:
    broken = {name: int((~p.isfinite()).sum()) for name, p in module.named_parameters() if not p.isfinite().all()}
    if broken:
        name, count = next(iter(broken.items()))
        raise ModelError(
            f"{what} holds nan or infinity in {len(broken)} tensors (first: {count} values of '{name}'); "
            f"use a checkpoint from before the training diverged"
        )


def _shortened(cause: BaseException) -> str:
    """Return the first two lines of an error's message, cut between words where it lists hundreds of tensors."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = " ".join(lines[:2]) or type(cause).__name__
    return text if len(text) <= 300 else text[:300].rpartition(" ")[0].rstrip(",") + " …"
