"""The manifest of an artifact: read as data from a stranger, since anybody may have written it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emms.store.keys import Key, digest

NAME = "manifest.json"

# A Parquet file in the artifact's own folder: no path, and nothing hidden.
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.parquet$", max_length=200)]


class FileEntry(BaseModel):
    """One file of an artifact: its name in the folder, rows, bytes and SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: PlainName
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """What an artifact is and what it consists of; signed by a checksum over all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str
    key: dict[str, Any]
    meta: dict[str, Any]
    files: dict[str, FileEntry]

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """Return the manifest, or None if this is no manifest or its checksum is off."""
        try:
            content = json.loads(text)
            return cls.model_validate(content) if content.pop("sha256") == digest(content) else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def dump(self) -> bytes:
        """Return the text of the manifest with its checksum."""
        content = self.model_dump(mode="json")
        return json.dumps({**content, "sha256": digest(content)}, indent=1, sort_keys=True).encode()

    def describes(self, key: Key) -> bool:
        """Whether this is the manifest of the artifact of `key`, with the files and notes of its kind."""
        try:
            key.meta.model_validate(self.meta)
        except ValidationError:
            return False
        return self.kind == key.kind and self.key == key.content and self.files.keys() == set(key.file_names())
