"""Read JSON files from untrusted sources, with errors that name the file and the key."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from emms.errors import DatasetError, printable
from emms.files import open_regular

T = TypeVar("T")

_KINDS: dict[type, str] = {str: "text", int: "an integer", float: "a number", list: "a list", dict: "an object"}


def read_json(path: Path | str, keys: Container[str] | None = None) -> Any:
    """Return the content of a JSON file in UTF-8.

    keys: of all objects, only these keys are kept, so that large parts that are not needed never fill the memory.

    Raises DatasetError, with the file, if it cannot be read, is not JSON, or has an object with a key twice.
    """
    try:
        with open_regular(str(path)) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            content = text.read()
    except UnicodeDecodeError as cause:
        raise _not_utf8(f"'{path}'") from cause
    except OSError as cause:
        raise DatasetError(f"'{printable(path)}' cannot be read: {cause.strerror}; give the path of a file") from cause
    return parse_json(content, f"'{path}'", keys)


def parse_json(data: bytes | str, where: str, keys: Container[str] | None = None) -> Any:
    """Return the value of JSON text; `where` names it in messages, such as `line 3 of 'x.jsonl'`. As `read_json`."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise _not_utf8(where) from cause

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            ((repeated, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise DatasetError(f"{where} has an object with the key '{printable(repeated)}' twice; remove one of them")
        return content if keys is None else {key: value for key, value in pairs if key in keys}

    try:
        return json.loads(text, object_pairs_hook=as_object, parse_constant=_refuse)
    except DatasetError:
        raise
    except (ValueError, RecursionError) as cause:
        raise DatasetError(f"{where} is not JSON: {cause}; restore it, or check that it is the right file") from cause


def get(mapping: Any, key: str, kind: type[T], where: str) -> T:
    """Return the value of a key in a JSON object.

    kind: str, int, float (which accepts integers, but neither accepts true and false), list or dict.
    where: names the object in messages, such as `annotations[3] of 'captions.json'`.

    Raises DatasetError if this is no object, or if the key is missing or has a value of another kind.
    """
    if not isinstance(mapping, dict):
        raise DatasetError(f"{where} is not an object; check that it is the right file")
    if key not in mapping:
        raise DatasetError(f"{where} has no key '{key}'; check that it is the right file")
    value = mapping[key]
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return value  # type: ignore[return-value]  # an int is a number, and may be too large for a float
    shown = _KINDS[type(value)] if isinstance(value, list | dict) else printable(repr(value), 60)  # may be very large
    raise DatasetError(f"{where} has {shown} at '{key}', which is not {_KINDS[kind]}; fix it")


def items(mapping: Any, key: str, source: str, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place, such as `annotations[3]`, and the content of each object in the list at a key.

    source: the file. where: the place of `mapping` in it; empty if it is all of it.

    Raises DatasetError if the value is not a list of objects.
    """
    whole = f"{where} of '{source}'" if where else f"'{source}'"
    for number, item in enumerate(get(mapping, key, list, whole)):
        place = f"{where}.{key}[{number}]" if where else f"{key}[{number}]"
        if not isinstance(item, dict):
            raise DatasetError(f"{place} of '{source}' is not an object; check that it is the right file")
        yield place, item


def _not_utf8(where: str) -> DatasetError:
    return DatasetError(f"{where} is not text in UTF-8; convert it, or check that it is the right file")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
