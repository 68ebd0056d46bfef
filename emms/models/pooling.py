"""Pooling: from a module's output to one vector per sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from emms.errors import ModelError

CELLS = 3
"""Rows and columns of `pool: grid`."""


@dataclass(frozen=True)
class Layout:
    """Layout of the outputs of an architecture's modules."""

    channels_last: bool
    """Whether maps are (B, H, W, D) rather than (B, D, H, W)."""
    prefix_tokens: int
    """Number of class and register tokens before the patch tokens."""
    class_token: bool
    """Whether the first token is a class token, trained to represent the image."""

    @classmethod
    def of(cls, module: torch.nn.Module) -> Layout:
        """Return the layout of a timm network."""
        return cls(
            channels_last=getattr(module, "output_fmt", "NCHW") == "NHWC",
            prefix_tokens=getattr(module, "num_prefix_tokens", 0) or 0,
            class_token=getattr(module, "cls_token", None) is not None,
        )


def pool(output: object, how: str, layout: Layout, default_token: bool, where: str) -> torch.Tensor:
    """Pool a vector (B, D), a map (B, D, H, W) or (B, H, W, D), or tokens (B, T, D) to (B, D).

    `how` is `mean` over space or patch tokens, `token` for the class token, `grid` for the means over 3 x 3 cells of a
    map, which is then (B, 9 D), or `auto`: the class token if the architecture pools by it (`default_token`), otherwise
    the mean.

    Raises ModelError, naming the module `where`, for any other output.
    """
    if not isinstance(output, torch.Tensor):
        raise ModelError(f"{where} outputs a {type(output).__name__}, not one tensor; name another module")
    if how == "grid":
        return _grid(output.movedim(-1, 1) if output.ndim == 4 and layout.channels_last else output, where)
    token = how == "token" or (how == "auto" and default_token and output.ndim == 3)
    if token and not (output.ndim == 3 and layout.class_token):
        raise ModelError(f"{where} has no class token to pool by; use `pool: mean`")
    if token:
        return output[:, 0]
    if output.ndim == 2:
        return output
    if output.ndim == 3:
        return output[:, layout.prefix_tokens :].mean(1)
    if output.ndim == 4:
        return output.mean((1, 2) if layout.channels_last else (2, 3))
    raise ModelError(f"{where} outputs a tensor of {output.ndim} dimensions; name a module whose output has 2, 3 or 4")


def _grid(output: torch.Tensor, where: str) -> torch.Tensor:
    """Return the means over the cells of a map (B, D, H, W), which share rows or columns if 3 does not divide them."""
    if output.ndim != 4 or min(output.shape[2:]) < CELLS:
        shape = " x ".join(str(size) for size in output.shape[1:])
        raise ModelError(
            f"{where} outputs {shape} numbers per sample, not a map of at least {CELLS} x {CELLS} places; "
            f"name a module with such a map, or use `pool: mean`"
        )
    return torch.nn.functional.adaptive_avg_pool2d(output, CELLS).flatten(1)
