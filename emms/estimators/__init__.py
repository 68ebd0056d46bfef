"""Transferability estimators: how promising a pre-trained network is for a dataset, by its features alone."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, cast, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from emms.errors import EstimatorError, did_you_mean
from emms.estimators.base import Estimator, MomentEstimator, UnreliableScoreWarning
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
    },
    EstimatorError,
)
"""Every estimator by the name it has in a spec."""


def make_estimator(name: str, **settings: Any) -> Estimator:
    """Return the estimator of this name, with these settings.

    Raises EstimatorError when the name, a setting or its value is unknown.
    """
    return ESTIMATORS.get(name)(**_checked(name, settings))


def seeded(name: str, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return an estimator's settings with the run's seed, if it takes a number of that name and none is given."""
    parameter = inspect.signature(ESTIMATORS.get(name)).parameters.get("seed")
    return {"seed": seed, **settings} if parameter and isinstance(parameter.default, int) else dict(settings)


def all_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting of an estimator, those given and the defaults of the others, as JSON.

    Raises EstimatorError as `make_estimator` does.
    """
    parameters = inspect.signature(ESTIMATORS.get(name)).parameters.items()
    defaults = {setting: p.default for setting, p in parameters if p.default is not p.empty}
    # What is no JSON goes by its name: its text may hold an address in memory.
    plain = json.dumps(defaults | _checked(name, settings), default=lambda v: getattr(v, "__qualname__", str(type(v))))
    return cast(dict[str, Any], json.loads(plain))


def _checked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as the estimator's constructor has them."""
    estimator = ESTIMATORS.get(name)
    known, types = inspect.signature(estimator).parameters, _types(estimator)
    for setting in settings:
        if setting not in known:
            raise EstimatorError(
                f"estimator '{name}' has no setting '{setting}'{did_you_mean(setting, known)} "
                f"(settings: {', '.join(known) or 'none'})"
            )
    return {k: _of_type(name, k, value, types.get(k, Any)) for k, value in settings.items()}


def _types(estimator: type[Estimator]) -> dict[str, Any]:
    try:
        return get_type_hints(estimator.__init__)
    except NameError:  # imported for type checkers only, by another package
        return {}


def _of_type(name: str, setting: str, value: Any, wanted: Any) -> Any:
    """Return a setting's value as the constructor's annotation has it. Raises EstimatorError if it is another type."""
    try:
        # YAML takes 1e-8, without a point, for text.
        return TypeAdapter(wanted).validate_python(value, strict=not isinstance(value, str))
    except PydanticSchemaGenerationError:  # an annotation that only its own package understands
        return value
    except ValidationError as cause:
        fault = cause.errors()[0]
        if fault["type"] == "literal_error":  # which of the known words are allowed is the constructor's to say
            return value
        raise EstimatorError(
            f"estimator '{name}': {setting} {fault['msg'].removeprefix('Input ')}, not {value!r}"
        ) from cause


__all__ = [
    "ESTIMATORS",
    "Estimator",
    "MomentEstimator",
    "UnreliableScoreWarning",
    "all_settings",
    "make_estimator",
    "seeded",
]
