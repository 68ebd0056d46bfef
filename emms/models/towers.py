"""Outputs of the parts of a transformers network, and their pooling to one vector per sample or window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from emms.errors import ModelError
from emms.models.base import View
from emms.models.families import MEAN, Part


class Tower(NamedTuple):
    """Outputs of one part of a network."""

    part: Part
    last: torch.Tensor
    """Tokens (B, T, D), or a map (B, D, H, W)."""
    layers: Sequence[torch.Tensor] | None
    """The outputs of all layers, after the embeddings at index 0."""
    own: torch.Tensor | None
    """What the network itself makes of them, (B, D, …)."""
    mask: torch.Tensor | None
    """Which tokens are real, (B, T); None: all."""
    prefix: int
    """Number of tokens at the front that are not in the mean."""

    def pooled(self, view: View) -> torch.Tensor:
        """Return the features of a view, (B, D). Raises ModelError if transformers returned no layers."""
        how = view.pool
        if how == "auto":
            how = self.part.pool if view.layer is None else self.part.inner or self.part.pool
        if how == "own" and view.layer is None:
            assert self.own is not None
            return self.own.flatten(1)
        if view.layer is None:
            return self._pool(self.last, how)
        if self.layers is None:
            raise ModelError(
                "the installed version of transformers does not return the layers of this network; install a newer "
                "one, or remove `layer:`"
            )
        if view.layer == MEAN:
            return torch.stack([self._pool(layer, how).float() for layer in self.layers[1:]]).mean(0)
        return self._pool(self.layers[int(view.layer)], how)

    def _pool(self, states: torch.Tensor, how: str) -> torch.Tensor:
        if states.ndim == 4:
            return states.float().mean((2, 3))
        if how == "token":
            return states[:, 0]
        if how == "last":
            if self.mask is None:
                return states[:, -1]
            return states[torch.arange(len(states), device=states.device), self.mask.sum(1) - 1]
        if self.mask is None:
            return states[:, self.prefix :].float().mean(1)
        real = self.mask.unsqueeze(-1)
        return states.float().masked_fill(real == 0, 0).sum(1) / real.sum(1)


def pooled(towers: Sequence[Tower], view: View) -> torch.Tensor:
    """Return the features of all parts, joined: (B, D1)."""
    return torch.cat([tower.pooled(view).float() for tower in towers], dim=1)
