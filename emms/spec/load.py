"""From a file, a mapping or a Spec to a valid Spec, or to an error that lists everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emms.errors import SpecError, printable
from emms.spec.messages import describe
from emms.spec.spec import Spec
from emms.spec.yaml_file import Location, read_yaml


def load_spec(source: Spec | Mapping[str, Any] | str | os.PathLike[str], **overrides: Any) -> Spec:
    """Return the spec in `source`: a Spec, a mapping, or the path of a YAML file.

    `overrides` replace top-level keys of it. Relative paths are relative to the current folder.

    Raises SpecError, which names the file, the line and the key of everything that is wrong.
    """
    if isinstance(source, Spec):
        given = {name: getattr(source, name) for name in source.model_fields_set}
        return _validate({**given, **overrides}, "the spec", {})
    if isinstance(source, Mapping):
        return _validate({**source, **overrides}, "the spec", {})
    if not isinstance(source, str | os.PathLike):
        raise SpecError(f"a spec is a mapping, a Spec or the path of a YAML file, not {type(source).__name__}")
    file = read_yaml(Path(source))
    lines = {location: line for location, line in file.lines.items() if location and location[0] not in overrides}
    return _validate({**file.content, **overrides}, f"spec '{printable(source)}'", lines)


def _validate(content: Mapping[str, Any], name: str, lines: Mapping[Location, int]) -> Spec:
    try:
        return Spec.model_validate(content)
    except ValidationError as cause:
        raise SpecError("\n".join([f"{name} cannot be used:", *describe(cause, content, lines)])) from cause
