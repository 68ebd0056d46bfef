"""What determines an artifact, and the address that follows from it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


def digest(content: Any) -> str:
    """Return the SHA-256 of JSON content in its canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Meta(BaseModel):
    """What is noted about an artifact in its manifest. A manifest that notes anything else is not believed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Key(BaseModel):
    """What determines an artifact: references, digests and settings as fields, and the version of the code.

    Each kind of artifact is a subclass. The same key always has the same address, on every machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    """The folder of the store in which artifacts of this kind lie."""
    version: ClassVar[int]
    """Raise it when the code that makes the artifact computes something else, or writes it differently."""
    meta: ClassVar[type[Meta]] = Meta
    """What the manifest notes beside the files."""

    def __hash__(self) -> int:
        return hash(self.address)

    def file_names(self) -> tuple[str, ...]:
        """Return the names of the Parquet files that the artifact consists of."""
        return ()

    @property
    def content(self) -> dict[str, Any]:
        """The key as JSON, as it stands in the manifest."""
        return {"version": self.version, **self.model_dump(mode="json")}

    @property
    def address(self) -> str:
        """The 32 hexadecimal digits under which the artifact lies."""
        return digest({"kind": self.kind, "key": self.content})[:32]
