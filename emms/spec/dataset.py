"""The dataset of a spec: the settings of any dataset format, built-in or from a plug-in package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from emms.datasets import FORMATS, Dataset
from emms.errors import DatasetError, printable


class _ByFormat:
    """Let pydantic validate a dataset with the class of its `format`.

    Classes are looked up when a spec is validated. A union of all of them would be built when this module is imported,
    where one broken plug-in would break all formats.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        formats = {name: format_.__pydantic_core_schema__ for name, format_ in FORMATS if _has_json_schema(format_)}
        return handler(core_schema.tagged_union_schema(formats, discriminator="format"))


AnyDataset = Annotated[Dataset, _ByFormat()]
"""A dataset in any format. Its JSON schema is the union of all formats that can be imported, tagged by `format`."""


def _validate(value: Any) -> Dataset:
    if isinstance(value, Dataset):
        return value
    if isinstance(value, str):
        path = printable(value)
        raise ValueError(f"'{path}' has no format; write for example {{format: imagefolder, path: {path}}}")
    if not isinstance(value, Mapping):
        raise ValueError("is not a mapping; write for example {format: imagefolder, path: ./photos}")
    if "format" not in value:
        raise ValueError("has no `format:`; write for example {format: imagefolder, path: ./photos}")
    name = value["format"]
    if not isinstance(name, str):
        raise ValueError(f"`format:` must be a name, not {printable(repr(name))} (known: {', '.join(FORMATS.names())})")
    try:
        return FORMATS.get(name).model_validate(dict(value))
    except (ValidationError, DatasetError):
        raise
    except Exception as cause:  # a bug in a validator of the format
        raise DatasetError(
            f"dataset format '{name}' fails to read its settings ({type(cause).__name__}: {printable(cause)}); "
            f"it comes from {FORMATS.origin(name)}"
        ) from cause


def _has_json_schema(format_: type[Dataset]) -> bool:
    try:
        format_.model_json_schema()
    except Exception:  # a field has a type without a JSON schema
        return False
    return True
