"""Transferability estimators: score pre-trained networks for a dataset by their features."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, cast

from emms.errors import EstimatorError
from emms.estimators.base import Estimator, MomentEstimator, UnreliableScoreWarning
from emms.estimators.settings import checked_settings
from emms.registry import Registry

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "emms.estimators",
    Estimator,
    {
        "emms": "emms.estimators.emms:EMMS",
        "emms-cv": "emms.estimators.emms:EMMSCV",
        "emms-decoded": "emms.estimators.emms_decoded:EMMSDecoded",
        "logme": "emms.estimators.logme:LogME",
        "logme-f-label": "emms.estimators.logme:LogMEFLabel",
        "h-score": "emms.estimators.h_score:HScore",
        "h-score-regularised": "emms.estimators.h_score:RegularisedHScore",
        "transrate": "emms.estimators.transrate:TransRate",
        "lda": "emms.estimators.lda:LDA",
        "sfda": "emms.estimators.sfda:SFDA",
        "parc": "emms.estimators.parc:PARC",
        "gbc": "emms.estimators.gbc:GBC",
        "leep": "emms.estimators.leep:LEEP",
        "nce": "emms.estimators.nce:NCE",
        "nleep": "emms.estimators.nleep:NLEEP",
        "pactran-dirichlet": "emms.estimators.pactran:PACTranDirichlet",
        "pactran-gamma": "emms.estimators.pactran:PACTranGamma",
        "pactran-gauss": "emms.estimators.pactran_gauss:PACTranGauss",
        "etran": "emms.estimators.etran:ETran",
        "occam-int": "emms.estimators.occam_int:OccamINT",
        "occam-concept-variance": "emms.estimators.occam_concept_variance:OccamConceptVariance",
        "knn": "emms.estimators.knn:KNN",
        "linear-probe": "emms.estimators.linear_probe:LinearProbe",
        "knn-labels": "emms.estimators.knn_labels:KNNLabels",
    },
    EstimatorError,
)
"""Estimators by their name in a spec."""


def make_estimator(name: str, **settings: Any) -> Estimator:
    """Return the estimator with this name and these settings.

    Raises EstimatorError if the name or a setting is unknown, or a value is invalid.
    """
    estimator = ESTIMATORS.get(name)
    return estimator(**checked_settings(estimator, settings))  # a plug-in's constructor may not check by itself


def seeded(name: str, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return an estimator's settings with the run's seed, if it has an integer setting `seed` that is not set."""
    parameter = inspect.signature(ESTIMATORS.get(name)).parameters.get("seed")
    return {"seed": seed, **settings} if parameter and isinstance(parameter.default, int) else dict(settings)


def all_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of an estimator, as JSON: the given ones, and the defaults of the others.

    Raises EstimatorError as `make_estimator` does.
    """
    estimator = ESTIMATORS.get(name)
    parameters = inspect.signature(estimator).parameters.items()
    defaults = {setting: p.default for setting, p in parameters if p.default is not p.empty}
    # Values that JSON cannot represent are replaced by the name of their class or function, since their repr may
    # contain a memory address.
    plain = json.dumps(
        defaults | checked_settings(estimator, settings), default=lambda v: getattr(v, "__qualname__", str(type(v)))
    )
    return cast(dict[str, Any], json.loads(plain))


__all__ = [
    "ESTIMATORS",
    "Estimator",
    "MomentEstimator",
    "UnreliableScoreWarning",
    "all_settings",
    "make_estimator",
    "seeded",
]
