"""Convert pydantic's errors about a spec to messages with the line, the key and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from emms.datasets import FORMATS
from emms.errors import EMMSError, did_you_mean, printable
from emms.spec.encoder import EncoderSpec
from emms.spec.model import ModelSpec
from emms.spec.spec import Spec
from emms.spec.yaml_file import Location

MOST = 20
"""Maximum number of errors that are listed."""


def describe(error: ValidationError, content: Mapping[str, Any], lines: Mapping[Location, int]) -> Iterator[str]:
    """Yield a line of printable text for each error in a spec.

    content: what was validated. lines: the line of each value in the file, if there is a file.
    """
    causes = _causes(error.errors(include_url=False))
    for cause in causes[:MOST]:
        yield f"  {_place(cause['loc'], lines)}{_message(cause, content)}"
    if len(causes) > MOST:
        yield f"  and {len(causes) - MOST:,} more"


def _causes(errors: list[Any]) -> list[Any]:
    """Return the errors without consequences of other errors, such as that of a list with an invalid entry."""
    parents = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    # Defaults that depend on the task are not computed if an earlier field is invalid.
    return [e for e in errors if e["loc"] not in parents and e["type"] != "default_factory_not_called"]


def _place(location: Location, lines: Mapping[Location, int]) -> str:
    """Return `line 3, models[1].name: ` for the location of an error."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{printable(part)}" if key else printable(part)
    inner_first = (location[:depth] for depth in range(len(location), 0, -1))
    line = next((lines[place] for place in inner_first if place in lines), None)
    return f"line {line}, {key}: " if line else f"{key}: " if key else ""


def _message(error: Any, content: Mapping[str, Any]) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        key, known = str(error["loc"][-1]), _known_keys(error["loc"], content)
        listed = f" (known: {', '.join(known)})" if known else ""
        return f"unknown key '{printable(key)}'{did_you_mean(key, known)}{listed}"
    if kind == "tuple_type":
        return f"must be a list, such as [{printable(value) if isinstance(value, str) else '…'}]"
    if kind == "too_short" and isinstance(value, list | tuple):
        return "is an empty list; give at least one entry"
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return printable(error["ctx"]["error"], limit=2000)
    message = printable(error["msg"], limit=2000)
    return message[:1].lower() + message[1:] + (f", not {_shown(value)}" if _is_scalar(value) else "")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _shown(value: Any) -> str:
    try:
        return printable(repr(value))
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "such a large number"


def _known_keys(location: Location, content: Mapping[str, Any]) -> list[str]:
    """Return the keys that are allowed in the mapping with the unknown key at `location`."""
    model: type[BaseModel] | None = None
    match location:
        case (_,):
            model = Spec
        case ("dataset", _):
            try:
                model = FORMATS.get(content["dataset"]["format"])
            except EMMSError:
                model = None
        case ("models", int(), _):
            model = ModelSpec
        case ("label_encoders", int(), _):
            model = EncoderSpec
    return [field.alias or name for name, field in model.model_fields.items()] if model else []
