"""Transferability estimators: how promising a pre-trained network is for a dataset, by its features alone."""

from __future__ import annotations

import inspect
from typing import Any

from emms.errors import EstimatorError, did_you_mean
from emms.estimators.base import Estimator, MomentEstimator, UnreliableScoreWarning
from emms.registry import Registry

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "emms.estimators",
    {
        "emms": "emms.estimators.emms:EMMS",
        "logme": "emms.estimators.logme:LogME",
        "logme-f-label": "emms.estimators.logme:LogMEFLabel",
    },
    EstimatorError,
)
"""Every estimator by the name it has in a spec."""


def make_estimator(name: str, **settings: Any) -> Estimator:
    """Return the estimator of this name, with these settings.

    Raises EstimatorError when the name, a setting or its value is unknown.
    """
    estimator = ESTIMATORS.get(name)
    known = inspect.signature(estimator).parameters
    for setting in settings:
        if setting not in known:
            raise EstimatorError(
                f"estimator '{name}' has no setting '{setting}'{did_you_mean(setting, known)} "
                f"(settings: {', '.join(known) or 'none'})"
            )
    return estimator(**settings)


__all__ = ["ESTIMATORS", "Estimator", "MomentEstimator", "UnreliableScoreWarning", "make_estimator"]
