"""The core schema of YAML 1.2 (chapter 10.3): which plain scalars are null, booleans and numbers, and their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from emms.errors import printable

CORE = "tag:yaml.org,2002:"
"""Prefix of the tags of the core schema; `!!` in a file."""
STR, SEQ, MAP = CORE + "str", CORE + "seq", CORE + "map"

MAX_NUMBER = 100
"""Maximum length of a number, in characters. Python does not parse integers of more than 4,300 digits."""


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _real(text: str) -> float:
    value = float(re.sub(r"\.(?=[iInN])", "", text))  # Python's inf and nan have no point
    if math.isinf(value) and "inf" not in text.lower():
        raise ValueError(f"{printable(text)} is too large a number; write .inf for infinity")
    return value


_FORMS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "null": (r"|~|null|Null|NULL", lambda text: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _integer),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.nan|\.NaN|\.NAN",
        _real,
    ),
}
SCALARS = {CORE + kind: (re.compile(form), value) for kind, (form, value) in _FORMS.items()}
"""For each tag except that of text: its pattern, and the function that converts it to a value."""


def plain_tag(text: str) -> str:
    """Return the tag of a scalar without quotes and without an explicit tag."""
    return next((tag for tag, (form, _) in SCALARS.items() if form.fullmatch(text)), STR)


def value_of(tag: str, text: str) -> Any:
    """Return the value of a scalar. Raises ValueError if the text does not match the tag, or is too long a number."""
    if tag == STR:
        return text
    form, value = SCALARS[tag]
    if not form.fullmatch(text):
        raise ValueError(f"'{printable(text)}' does not fit its tag '{tag.replace(CORE, '!!')}'")
    if len(text) > MAX_NUMBER:
        raise ValueError(
            f"a number has {len(text):,} characters; {MAX_NUMBER} is the limit. If it is text, put it in quotes"
        )
    return value(text)
