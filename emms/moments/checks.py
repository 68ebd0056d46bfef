"""Check the input of moments: arrays of finite numbers of the right shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from emms.errors import EstimatorError


def as_numbers(what: str, values: Any, *shape: int | str) -> np.ndarray:
    """Return values as an array of numbers of this shape, where a string stands for any length.

    If three dimensions are expected, a third one of length 1 is added to two. Only the first may have length zero.
    `what` is the name of the values in messages. Raises EstimatorError if they have another shape or type.
    """
    try:
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (ValueError, TypeError, RuntimeError) as cause:
        raise EstimatorError(f"{what} cannot be converted to an array: {cause}") from cause
    if len(shape) == 3 and array.ndim == 2:
        array = array[:, :, None]
    fits = array.ndim == len(shape) and all(
        length == expected if isinstance(expected, int) else length or not axis
        for axis, (length, expected) in enumerate(zip(array.shape, shape, strict=True))
    )
    if not fits or array.dtype.kind not in "fiu":
        raise EstimatorError(
            f"{what} must be numbers of shape ({', '.join(map(str, shape))}), not {array.dtype} of shape {array.shape}"
        )
    return array


def as_class_indices(y: Any) -> np.ndarray:
    """Return class labels (N,) as an array of integers. Raises EstimatorError if they are something else."""
    array = np.asarray(y)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise EstimatorError(
            f"class labels must be integers of shape (N,), not {array.dtype} of shape {array.shape}; "
            f"give each sample the index of its class"
        )
    return array


def check_finite(X: np.ndarray, total: np.ndarray, what: str = "features") -> None:
    """Raise EstimatorError if X (B, D1), named `what` and with sum `total`, contains nan or infinity."""
    if not np.isfinite(total).all():
        bad = int((~np.isfinite(X)).any(axis=1).sum())
        if not bad:
            raise EstimatorError(f"{what} are too large to sum in float64; scale them, or leave the network out")
        raise EstimatorError(
            f"{what} of {bad} of {len(X)} samples contain nan or infinity; "
            f"extract them again in float32, or leave the network out"
        )
