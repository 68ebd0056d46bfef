"""Reading a spec from YAML, so that an error names the line and the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from emms.errors import SpecError, did_you_mean
from emms.spec import Spec


def load_spec(source: Spec | Mapping[str, Any] | str | Path, **overrides: Any) -> Spec:
    """Return the spec that `source` holds: a Spec, a mapping, or the path of a YAML file.

    `overrides` replace top-level keys of it. Relative paths are relative to the current folder.

    Raises SpecError, which names the file, the line and the key of everything that is wrong.
    """
    if isinstance(source, Spec):
        source = source.model_dump(mode="json", exclude_unset=True)
    if isinstance(source, Mapping):
        return _validate({**source, **overrides}, "the spec", None)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as cause:
        raise SpecError(f"spec '{path}' cannot be read: {cause.strerror}; give the path of a YAML file") from cause
    except UnicodeDecodeError as cause:
        raise SpecError(f"spec '{path}' is not text in UTF-8: {cause.reason}; give the path of a YAML file") from cause
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        _no_repeated_keys(tree, path)
        content = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        raise SpecError(f"spec '{path}' is not YAML: {cause}") from cause
    if not isinstance(content, dict):
        raise SpecError(f"spec '{path}' holds no keys; it needs at least `dataset:` and `models:`")
    return _validate({**content, **overrides}, f"spec '{path}'", tree)


def _validate(content: Mapping[str, Any], where: str, tree: yaml.Node | None) -> Spec:
    try:
        return Spec.model_validate(content)
    except ValidationError as cause:
        wrong = [f"  {_place(error['loc'], tree)}{_message(error)}" for error in _causes(cause.errors())]
        raise SpecError("\n".join([f"{where} cannot be used:", *wrong])) from cause


def _causes(errors: Sequence[Any]) -> list[Any]:
    """Return the errors without those that only follow: a list with a wrong entry is itself called wrong."""
    inside = [error["loc"] for error in errors]
    return [
        e for e in errors if not any(len(loc) > len(e["loc"]) and loc[: len(e["loc"])] == e["loc"] for loc in inside)
    ]


def _place(loc: tuple[int | str, ...], tree: yaml.Node | None) -> str:
    """Return `line 3, models[1].name: ` for where an error lies."""
    key, line = "", None
    if loc[:1] == ("dataset",):
        loc = (*loc[:1], *loc[2:])  # pydantic puts the format there, by which it tells the settings apart
    for part in loc:
        following = next((entry for entry in _children(tree) if entry[0] == part), None)
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        if following is not None:
            _, line, tree = following
    return f"line {line}, {key}: " if line else f"{key}: " if key else ""


def _children(node: yaml.Node | None) -> Iterator[tuple[int | str, int, yaml.Node]]:
    """Yield (key or index, line, value) of a mapping's or a sequence's entries."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key.start_mark.line + 1, value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((index, value.start_mark.line + 1, value) for index, value in enumerate(node.value))


def _message(error: Any) -> str:
    kind, key = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        known = _fields_beside(error["loc"])
        return f"unknown key '{key}'{did_you_mean(key, known)}" + (f" (known: {', '.join(known)})" if known else "")
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
        tag = error["ctx"]["tag"]
        return f"dataset format '{tag}' is unknown{did_you_mean(tag, tags)} (known: {', '.join(tags)})"
    if kind == "union_tag_not_found":
        given = error["input"]
        if isinstance(given, str):
            return f"'{given}' does not say in which format it is; write {{format: imagefolder, path: {given}}}"
        return "has no `format:`, such as {format: imagefolder, path: ./photos}"
    if kind == "tuple_type":
        entry = error["input"] if isinstance(error["input"], str) else "…"
        return f"must be a list, such as [{entry}]"
    if kind == "too_short":
        return "is an empty list; it takes one entry or more"
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    given = error["input"]
    return f"{error['msg'][0].lower()}{error['msg'][1:]}" + (
        f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
    )


def _fields_beside(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that could stand where the unknown key at `loc` stands."""
    from emms.datasets import FORMATS
    from emms.spec import EncoderSpec, ModelSpec

    model: type[BaseModel] = Spec
    if len(loc) > 1:
        parts: dict[str, Any] = {"models": ModelSpec, "label_encoders": EncoderSpec}
        model = FORMATS.get(str(loc[1])) if loc[0] == "dataset" else parts.get(str(loc[0]), Spec)
    return list(model.model_fields)


def _no_repeated_keys(node: yaml.Node | None, path: Path, above: tuple[yaml.Node | None, ...] = ()) -> None:
    if node in above:
        raise SpecError(f"spec '{path}' refers to itself through an alias; write it out")
    seen: set[str] = set()
    for name, line, child in _children(node):
        if isinstance(node, yaml.MappingNode):
            if str(name) in seen:
                raise SpecError(f"spec '{path}', line {line}: key '{name}' stands there twice; remove one")
            seen.add(str(name))
        _no_repeated_keys(child, path, (*above, node))
