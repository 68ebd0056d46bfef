"""Checks of estimators' settings, with one wording for all."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any, get_args

from emms.errors import EstimatorError


def checked_choice(name: str, setting: str, value: Any, literal: Any) -> Any:
    """Return the value of a setting if it is one that `literal` lists. Raises EstimatorError if it is not."""
    choices = get_args(literal)
    if value not in choices:
        raise EstimatorError(f"estimator '{name}' has no {setting} '{value}'; it has: {', '.join(choices)}")
    return value


def checked_count(name: str, setting: str, value: Any, least: int = 1) -> int:
    """Return the value of a setting if it is a whole number of at least `least`. Raises EstimatorError if not."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise EstimatorError(f"estimator '{name}': {setting} must be a whole number from {least} on, not {value!r}")
    return int(value)


def checked_positive(name: str, setting: str, value: Any, most: float = float("inf")) -> float:
    """Return the value of a setting if it is a number above 0 and at most `most`. Raises EstimatorError if not."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and isfinite(value) and 0 < value <= most):
        limit = "" if most == float("inf") else f" and at most {most:g}"
        raise EstimatorError(f"estimator '{name}': {setting} must be a number above 0{limit}, not {value!r}")
    return float(value)
