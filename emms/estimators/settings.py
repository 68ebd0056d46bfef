"""Settings of estimators: annotated arguments of the constructor, checked and converted by pydantic."""

from __future__ import annotations

import functools
import inspect
import re
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from emms.errors import EstimatorError, did_you_mean

Count = Annotated[int, Field(ge=1)]
Folds = Annotated[int, Field(ge=2)]
NonNegative = Annotated[int, Field(ge=0)]
Seed = NonNegative
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]

_NO_SETTINGS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def checking(constructor: Callable[..., None]) -> Callable[..., None]:
    """Decorate a constructor to check and convert its arguments, except defaults, by their annotations.

    The decorated constructor raises EstimatorError for an unknown setting or an invalid value.
    """

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **settings: Any) -> None:
        bound = _bound(type(self), constructor, self, *args, **settings)
        constructor(*bound.args, **bound.kwargs)

    return checked


def checked_settings(estimator: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as converted by an estimator's constructor. Raises EstimatorError as the constructor does."""
    bound = _bound(estimator, estimator.__init__, None, **settings)
    return {setting: bound.arguments.get(setting, value) for setting, value in settings.items()}


def _bound(
    estimator: type[Any], constructor: Callable[..., None], self: Any, *args: Any, **settings: Any
) -> inspect.BoundArguments:
    """Return the arguments of a constructor, checked and converted."""
    name, signature = getattr(estimator, "name", estimator.__name__), inspect.signature(constructor)
    known = [p.name for p in list(signature.parameters.values())[1:] if p.kind not in _NO_SETTINGS]
    listed = f"(settings: {', '.join(known) or 'none'})"
    try:
        bound = signature.bind(self, *args, **settings)
    except TypeError as cause:
        for setting in settings:
            if setting not in known:
                near = did_you_mean(setting, known)
                raise EstimatorError(f"estimator '{name}' has no setting '{setting}'{near} {listed}") from cause
        raise EstimatorError(f"estimator '{name}': {cause} {listed}") from cause
    types = _types(constructor)
    for setting, value in bound.arguments.items():
        if setting in types:
            bound.arguments[setting] = _checked(name, setting, value, types[setting])
    return bound


def _checked(name: str, setting: str, value: Any, expected: TypeAdapter) -> Any:
    """Return the value of a setting, converted to the expected type. Raises EstimatorError if that is impossible."""
    plain = value.item() if isinstance(value, np.generic) else value
    try:
        # Numbers may be quoted in a spec, but booleans are not numbers.
        return expected.validate_python(plain, strict=isinstance(plain, bool))
    except ValidationError as cause:
        fault = re.sub(r", (got|unable to) .*", "", cause.errors()[0]["msg"])
        should = fault.removeprefix("Input ") if fault.startswith("Input should") else f"is wrong: {fault}"
        raise EstimatorError(f"estimator '{name}': setting '{setting}' {should}, not {reprlib.repr(value)}") from cause


@functools.cache  # evaluated on first use, since an annotation may refer to names that are defined later
def _types(constructor: Callable[..., None]) -> dict[str, TypeAdapter]:
    """Return the type of each setting, except those without an annotation, or with one unknown to pydantic."""
    namespace = getattr(inspect.unwrap(constructor), "__globals__", {})
    types = {}
    for setting, parameter in list(inspect.signature(constructor).parameters.items())[1:]:
        if parameter.annotation is parameter.empty or parameter.kind in _NO_SETTINGS:
            continue
        one = SimpleNamespace(__annotations__={setting: parameter.annotation})
        with suppress(Exception):  # annotations of plug-ins may be unsupported, or imported for type checkers only
            types[setting] = TypeAdapter(get_type_hints(one, namespace, include_extras=True)[setting])
    return types
