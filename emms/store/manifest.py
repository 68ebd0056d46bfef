"""The manifest of an artifact, which is read as untrusted data."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emms.store.keys import Key, digest

NAME = "manifest.json"

# A Parquet file in the artifact's own folder: not a path, and not hidden.
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.parquet$", max_length=200)]


class FileEntry(BaseModel):
    """One file of an artifact: its name in the folder, rows, bytes and SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: PlainName
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """Description of an artifact and its files, with a checksum."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str
    key: dict[str, Any]
    meta: dict[str, Any]
    files: dict[str, FileEntry]

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """Return the manifest, or None if the text is not a manifest or its checksum is wrong."""
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
        """Return whether this is the manifest of the artifact of `key`, with the files and metadata of its kind."""
        try:
            key.meta.model_validate(self.meta)
        except ValidationError:
            return False
        return self.kind == key.kind and self.key == key.content and self.files.keys() == set(key.file_names())
