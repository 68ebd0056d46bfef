"""Label encoders in a spec."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emms.errors import printable
from emms.spec.text import Name


class EncoderSpec(BaseModel):
    """A label encoder: the text `SOURCE:NAME`, a local folder, or these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Name = Field(
        description="Where the encoder comes from: packaged, hf (the Hugging Face hub), folder, or a source that a "
        "plug-in package adds."
    )
    name: Name = Field(description="The encoder's name in that source, such as openai/clip-vit-large-patch14.")
    pooling: Name = Field(
        "auto",
        description="How token vectors become one vector. With auto it is the default of the encoder's family.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith(("./", "../", "/", "~")):
            return {"source": "folder", "name": value}
        source, colon, name = value.partition(":")
        if not colon or not source or not name:
            raise ValueError(
                f"'{printable(value)}' is neither SOURCE:NAME, such as hf:bert-large-uncased, nor a folder, "
                f"such as ./my-encoder"
            )
        return {"source": source, "name": name}

    @property
    def id(self) -> str:
        """The name of this encoder in all outputs."""
        return f"{self.source}:{self.name}" + ("" if self.pooling == "auto" else f" (pooling {self.pooling})")
