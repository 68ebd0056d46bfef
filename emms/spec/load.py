"""Load a spec from a file, a mapping or a Spec, and report all errors in it at once."""

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

    `overrides` replace top-level keys. Relative paths are relative to the current folder.

    Raises SpecError, with the file, the line and the key of all errors.
    """
    if isinstance(source, Spec):
        fields = {name: getattr(source, name) for name in source.model_fields_set}
        return _validate({**fields, **overrides}, "the spec", {})
    if isinstance(source, Mapping):
        return _validate({**source, **overrides}, "the spec", {})
    if not isinstance(source, str | os.PathLike):
        raise SpecError(f"a spec must be a mapping, a Spec or the path of a YAML file, not {type(source).__name__}")
    file = read_yaml(Path(source))
    lines = {location: line for location, line in file.lines.items() if location and location[0] not in overrides}
    return _validate({**file.content, **overrides}, f"spec '{printable(source)}'", lines)


def _validate(content: Mapping[str, Any], name: str, lines: Mapping[Location, int]) -> Spec:
    try:
        return Spec.model_validate(content)
    except ValidationError as cause:
        raise SpecError("\n".join([f"{name} is invalid:", *describe(cause, content, lines)])) from cause
