"""Networks of timm (PyTorch Image Models, Wightman 2019), at any of their modules.

timm and torch are imported only where a network is built, since that takes ten seconds; the keys of features in the
store are computed without them.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emms import hub
from emms.downstream.image_classification import ImageSample
from emms.errors import ModelError, UnavailableError, UnreachableError, did_you_mean, shortened
from emms.models import architectures, random_weights
from emms.models.base import Candidate, Digests, Forward, Size
from emms.models.own_weights import OwnWeights
from emms.store.digests import FileDigests, sha256_of

if TYPE_CHECKING:
    import torch

    from emms.models.checkpoints import Tensors

VERSION = 2  # raise it if the code changes features


class TimmNetwork(Candidate):
    """`timm:NAME`: an architecture, with a tag for its weights if it has several (`resnet50.a1_in1k`)."""

    @property
    def architecture(self) -> str:
        """The timm name, with its tag."""
        return self.spec.name

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return the matching architectures, without a tag (their default weights) and with each tag."""
        return architectures.names(pattern)

    def check(self) -> None:
        """Raise ModelError if the name, layer, pooling or checkpoint is invalid.

        A user checkpoint is read, unless the same file was checked before.
        """
        for name, given in {"features": self.spec.features != "auto", "windows": self.spec.windows != "mean"}.items():
            if given:
                raise ModelError(f"model '{self.spec.id}' reads images, so `{name}:` does not apply; remove it")
        known, layer = self._known, self.spec.layer
        if self.spec.pretrained and not self.spec.checkpoint:
            self._check_published()
        if layer is not None and layer not in known.modules:
            top = [name for name in known.modules if name.count(".") < 2]
            near = did_you_mean(layer, known.modules) or f"; it has {', '.join(top[:12])}, …"
            raise ModelError(f"model '{self.spec.id}' has no module '{layer}'{near}")
        if self.spec.pool == "token" and not known.class_token:
            raise ModelError(f"model '{self.spec.id}' has no class token to pool by; use `pool: mean`")
        classes = self._own.check(self._digest).classes if self._own else known.classes
        if self.spec.pool == "logits" and (layer is not None or not classes):
            stops = f"stops at '{layer}', before its classifier" if layer else "has no classifier"
            raise ModelError(f"model '{self.spec.id}' {stops}, so it has no logits")

    def _check_published(self) -> None:
        if not {"hf_hub_id", "url"} & self._known.published.keys():
            raise ModelError(
                f"model '{self.spec.id}' has no published weights; "
                f"give a `checkpoint:`, or `pretrained: false` to use it as a control"
            )

    def size(self) -> Size:
        """Return the number of features before the head, parameters, and multiply-adds per image up to the head."""
        return Size(self._known.features, self._known.parameters, self._known.multiply_adds)

    def network(self, digests: Digests) -> dict[str, Any]:
        """Return the architecture and the digest of its weights, also for an untrained control."""
        identity = {"family": "timm", "version": VERSION, "architecture": self._untagged}
        weights = self._weights()
        if weights is None:
            return {**identity, "random weights": random_weights.digest(self._control)}
        try:
            return {**identity, "weights": digests([str(weights)])[0]}
        except OSError as cause:
            raise ModelError(f"weights of model '{self.spec.id}' cannot be read: {cause}") from cause

    def preprocessing(self) -> dict[str, Any]:
        """Return timm's data configuration of the network."""
        return {"decode": "rgb", **self._known.preprocessing}

    def sharing(self) -> Hashable:
        """Return the settings of resizing and cropping; each network standardises the batch itself."""
        config = dict(self._data_config)
        if config.get("crop_mode") != "border":  # a border is filled with the mean
            del config["mean"]
        del config["std"]
        return tuple(sorted(config.items()))

    def prepare(self, sample: ImageSample) -> np.ndarray:
        """Return the resized and cropped image, (3, H, W), uint8."""
        return np.asarray(self._transform(sample.image))

    def load(self, device: torch.device) -> Forward:
        """Load the network onto a device, ready for inference. Raises ModelError if its weights do not fit it."""
        from emms.models.timm_forward import TimmForward

        return TimmForward(self._build().eval(), self._data_config, device, self.spec.id)

    @property
    def _untagged(self) -> str:
        return self.architecture.partition(".")[0]  # a tag may have another number of classes

    @property
    def _control(self) -> random_weights.Control:
        def draw() -> torch.nn.Module:
            from emms.models import timm_build

            return timm_build.draw(self._untagged)

        return random_weights.Control({"architecture": self._untagged}, ("timm",), self.spec.seed, draw)

    @cached_property
    def _known(self) -> architectures.Architecture:
        return architectures.look_up(self.architecture, self.spec.id)

    @cached_property
    def _own(self) -> OwnWeights | None:
        path = self.spec.checkpoint
        return OwnWeights(path, self.architecture, self._known, self.spec.id) if path else None

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in self._known.preprocessing.items()}

    @cached_property
    def _transform(self) -> Any:
        from timm.data.transforms_factory import create_transform

        # timm's transforms except the conversion to float, which is faster for a batch on the device.
        return create_transform(**self._data_config, use_prefetcher=True)

    def _weights(self) -> Path | None:
        """Return the local file of the weights, downloaded if necessary; None for random weights."""
        if not self.spec.pretrained:
            return None
        if self.spec.checkpoint:
            return self.spec.checkpoint
        self._check_published()
        try:
            return _download(self._known.published)
        except Exception as cause:  # hub and network libraries raise errors of many types
            kind = UnreachableError if isinstance(cause, UnreachableError) else UnavailableError
            raise kind(
                f"weights of model '{self.spec.id}' are not available: {shortened(cause)}; check the network, fill "
                f"the hub's local cache on another machine and use it with HF_HUB_OFFLINE=1, give a `checkpoint:`, or "
                f"choose networks that need no hub (emms models 'packaged:*')"
            ) from cause

    def _build(self) -> torch.nn.Module:
        weights, promised = self._weights(), self.promised or {}
        if weights is None:
            return random_weights.draw(self._control, promised.get("random weights"), self.spec.id)
        if promised and self._digest(weights) != promised.get("weights"):
            raise ModelError(
                f"'{weights}', the weights of model '{self.spec.id}', has changed during the run; run again"
            )
        if self._own:
            return self._own.load(self._own.check(self._digest))
        return self._load_published(weights)

    def _load_published(self, weights: Path) -> torch.nn.Module:
        from emms.models.checkpoints import check_values
        from emms.models.timm_build import build

        try:
            network = build(self.architecture, self._published_tensors(weights), self._known.classes, own=False)
        except (RuntimeError, KeyError, TypeError, AttributeError) as cause:
            raise ModelError(
                f"weights in '{weights}' do not fit model '{self.spec.id}': {shortened(cause)}; "
                f"download them again, or install the version of timm that constraints.txt names"
            ) from cause
        check_values(dict(network.named_parameters()), {}, f"'{weights}', the weights of model '{self.spec.id}',")
        return network

    def _published_tensors(self, weights: Path) -> Tensors:
        from emms.models.checkpoints import published, read_weights

        return published(read_weights(weights))

    def _digest(self, path: Path) -> str:
        return FileDigests(self.store)([str(path)])[0] if self.store else sha256_of(str(path))


def _download(published: dict[str, str]) -> Path:
    if "hf_hub_id" not in published:
        return hub.fetch_url(published["url"])
    repository, _, revision = published["hf_hub_id"].partition("@")
    named = published.get("hf_hub_filename")
    return hub.fetch(repository, [named] if named else ["model.safetensors", "pytorch_model.bin"], revision or None)
