"""Forward pass of a timm network: from batches of prepared images to features of one or several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from emms.errors import ModelError
from emms.models.base import Forward, View
from emms.models.pooling import Layout, pool


class TimmForward(Forward):
    """A network on its device; all views are computed in the same forward pass."""

    def __init__(self, module: torch.nn.Module, data_config: dict[str, Any], device: torch.device, name: str) -> None:
        self.parameters = sum(p.numel() for p in module.parameters())
        convolutional = any(isinstance(m, torch.nn.Conv2d) and m.kernel_size != m.stride for m in module.modules())
        # Convolutions are up to three times faster with channels last; a transformer's patch embedding is not.
        self._memory_format = torch.channels_last if convolutional else torch.contiguous_format
        self._module: Any = module.to(device).to(memory_format=self._memory_format)
        self._device, self._name, self._layout = device, name, Layout.of(module)
        self._default_token = self._layout.class_token and getattr(module, "global_pool", "") == "token"
        self._mean = torch.tensor(data_config["mean"], device=device).mul(255).view(1, -1, 1, 1)
        self._std = torch.tensor(data_config["std"], device=device).mul(255).view(1, -1, 1, 1)

    def __call__(self, batch: np.ndarray, views: Sequence[View]) -> list[torch.Tensor]:
        """Return one (B, D1) tensor per view for images (B, 3, H, W), uint8."""
        hooked: dict[str, Any] = {}
        handles = [
            self._module.get_submodule(layer).register_forward_hook(
                lambda _module, _inputs, output, layer=layer: hooked.__setitem__(layer, output)
            )
            for layer in {view.layer for view in views if view.layer is not None}
        ]
        try:
            last = self.last(batch)
            return [self._view(view, last, hooked) for view in views]
        finally:
            for handle in handles:
                handle.remove()

    def last(self, batch: np.ndarray) -> torch.Tensor:
        """Return the output before pooling, a map (B, D, H, W) or tokens (B, T, D), for images (B, 3, H, W), uint8."""
        images = torch.from_numpy(batch).to(self._device, non_blocking=True)
        inputs = images.float().sub_(self._mean).div_(self._std).contiguous(memory_format=self._memory_format)
        return self._module.forward_features(inputs)

    def _view(self, view: View, last: torch.Tensor, hooked: dict[str, Any]) -> torch.Tensor:
        where = f"module '{view.layer}' of model '{self._name}'" if view.layer else f"model '{self._name}'"
        if view.pool == "logits":
            if not getattr(self._module, "num_classes", 0):  # a checkpoint without a head
                raise ModelError(f"{where} has no classifier, so it has no logits")
            return self._module.forward_head(last)
        if view.layer is None and view.pool == "auto":
            return self._module.forward_head(last, pre_logits=True).flatten(1)
        if view.layer is None:
            return pool(last, view.pool, self._layout, self._default_token, where)
        if view.layer not in hooked:  # the layer is part of the head
            self._module.forward_head(last)
        if view.layer not in hooked:
            raise ModelError(f"{where} is not used in the forward pass; name another module")
        return pool(hooked[view.layer], view.pool, self._layout, self._default_token, where)
