"""Sums over torch tensors on their device: features on a GPU are multiplied there, and only sums are copied back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from emms.errors import EstimatorError


def on_gpu(X: Any) -> bool:
    """Return whether X is a tensor on a CUDA device; others are converted to arrays (Apple's GPUs have no float64)."""
    return getattr(getattr(X, "device", None), "type", "cpu") == "cuda"


GPU_ROWS = 8_192
"""Samples that are summed at a time, since float64 copies of all features may not fit into memory."""


def by_rows(update: Callable[[Any, np.ndarray], object], X: Any, labels: np.ndarray) -> bool:
    """If there are more than GPU_ROWS samples, update by as many at a time; return whether. labels: one per sample."""
    if len(X) <= GPU_ROWS or len(X) != len(labels):
        return False
    for start in range(0, len(X), GPU_ROWS):
        update(X[start : start + GPU_ROWS], labels[start : start + GPU_ROWS])
    return True


def sums(X: Any, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums of a tensor of features X (B, D1) and an array of label columns (B, m), in float64.

    These are the features' mean (D1,), their scatter about it (D1, D1), and their cross products with the labels,
    not centred, (D1, m). Raises EstimatorError for wrong shapes, nan and infinity.
    """
    import torch

    if X.ndim != 2 or not len(X) or len(X) != len(labels):
        raise EstimatorError(f"features of shape {tuple(X.shape)} do not match {len(labels)} labels, one per row")
    X = X.double()
    mean = X.mean(dim=0)
    if not bool(mean.isfinite().all()):
        bad = int((~X.isfinite()).any(dim=1).sum())
        raise EstimatorError(
            f"features of {bad} of {len(X)} samples contain nan or infinity; "
            f"extract them again in float32, or leave the network out"
        )
    columns = torch.as_tensor(labels, dtype=torch.float64, device=X.device)
    centred = X - mean
    # Products with centred features, so that a large mean costs no precision here either.
    cross = centred.T @ columns + mean[:, None] * columns.sum(dim=0)
    return mean.cpu().numpy(), (centred.T @ centred).cpu().numpy(), cross.cpu().numpy()
