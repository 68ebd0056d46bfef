"""Keys of artifacts, and their addresses."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


def digest(content: Any) -> str:
    """Return the SHA-256 of the canonical form of JSON content, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Meta(BaseModel):
    """Metadata of an artifact in its manifest. A manifest with other fields is rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Key(BaseModel):
    """Everything that determines an artifact: references, digests and settings as fields, and the version of the code.

    Each kind of artifact has a subclass. Equal keys have the same address on every machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    """Folder of the store for artifacts of this kind."""
    version: ClassVar[int]
    """Raise it if the code computes something else, or writes it differently."""
    meta: ClassVar[type[Meta]] = Meta
    """Type of the metadata in the manifest."""

    def __hash__(self) -> int:
        return hash(self.address)

    def file_names(self) -> tuple[str, ...]:
        """Return the names of the Parquet files of the artifact."""
        return ()

    @property
    def content(self) -> dict[str, Any]:
        """The key as JSON, as in the manifest."""
        return {"version": self.version, **self.model_dump(mode="json")}

    @property
    def address(self) -> str:
        """The address of the artifact, 32 hexadecimal digits."""
        return digest({"kind": self.kind, "key": self.content})[:32]
