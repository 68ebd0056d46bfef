"""The specification of a run: one pydantic model for the YAML file, the flow's parameter and the form in its UI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from emms.datasets import FORMATS, Dataset
from emms.downstream import DOWNSTREAM, check_template
from emms.errors import did_you_mean
from emms.paths import UserPath

Pool = Literal["auto", "mean", "token", "logits"]


class ModelSpec(BaseModel):
    """A candidate network: `SOURCE:NAME`, `SOURCE:NAME@LAYER`, or these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="where the network comes from: timm, packaged, or a source that a plug-in adds")
    name: str = Field(min_length=1, description="its name there, such as resnet50.a1_in1k")
    layer: str | None = Field(None, description="features after this named module, such as blocks.6, not the last ones")
    pool: Pool = Field(
        "auto",
        description="mean over space or tokens, the class token, or the logits of the network's own classifier; "
        "auto: as the network itself does before its head",
    )
    checkpoint: UserPath | None = Field(None, description="weights to load, safetensors or a PyTorch state dict")
    pretrained: bool = Field(True, description="false: random weights, as a control")
    seed: int = Field(0, ge=0, description="seed of the random weights")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        source, colon, rest = value.partition(":")
        if not colon or not source or not rest:
            raise ValueError(f"'{value}' is not of the form SOURCE:NAME, such as timm:resnet50.a1_in1k")
        name, at, layer = rest.partition("@")
        if at and not layer:
            raise ValueError(f"'{value}' names no layer after '@'")
        return {"source": source, "name": name, **({"layer": layer} if at else {})}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.checkpoint and not self.pretrained:
            raise ValueError("has a checkpoint and `pretrained: false`; give one of the two")
        if self.seed and self.pretrained:
            raise ValueError(
                f"has `seed: {self.seed}`, which only random weights have a use for; "
                f"add `pretrained: false`, or remove the seed"
            )
        return self

    def logits(self) -> ModelSpec:
        """Return the same network with its classifier's logits for features."""
        return self.model_copy(update={"pool": "logits"})

    @property
    def id(self) -> str:
        """The name this candidate has in every output."""
        name = f"{self.source}:{self.name}" + (f"@{self.layer}" if self.layer else "")
        notes = []
        if not self.pretrained:
            notes.append(f"untrained, seed {self.seed}")
        if self.checkpoint:
            notes.append(str(self.checkpoint))
        if self.pool != "auto":
            notes.append(f"pool {self.pool}")
        return name + (f" ({', '.join(notes)})" if notes else "")


class EncoderSpec(BaseModel):
    """A label encoder: `SOURCE:NAME`, a local folder, or these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="packaged, hf, folder, or a source that a plug-in adds")
    name: str = Field(min_length=1, description="its name there, such as openai/clip-vit-large-patch14")
    pooling: str = Field("auto", description="how token vectors become one vector; auto: right for the family")

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
                f"'{value}' is neither SOURCE:NAME, such as hf:bert-large-uncased, nor a folder, such as ./my-encoder"
            )
        return {"source": source, "name": name}

    @property
    def id(self) -> str:
        """The name this encoder has in every output."""
        return f"{self.source}:{self.name}" + ("" if self.pooling == "auto" else f" (pooling {self.pooling})")


class EstimatorSpec(BaseModel):
    """An estimator: its name, or its name and its settings, such as `{name: emms, solver: released}`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(min_length=1, description="as `emms estimators` lists it")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the estimator's constructor."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def id(self) -> str:
        """The name this estimator has in every output."""
        settings = ", ".join(f"{k}={v}" for k, v in sorted(self.settings.items()))
        return f"{self.name}({settings})" if settings else self.name

    @model_serializer
    def _plain(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}


def _format_tag(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get("format")
    return value.format if isinstance(value, Dataset) else None


if TYPE_CHECKING:
    AnyDataset = Dataset
else:
    # One union of all known formats' settings, told apart by `format`, so that a form can offer each its own fields.
    AnyDataset = Annotated[
        reduce(or_, (Annotated[format_, Tag(name)] for name, format_ in FORMATS)), Discriminator(_format_tag)
    ]


class Spec(BaseModel):
    """What to rank, on what, by what, and where results go. Everything has a default but the dataset and the models."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    task: str = Field("image-classification", description="what the networks will be used for")
    dataset: AnyDataset = Field(description="the samples and their labels")
    models: tuple[ModelSpec, ...] = Field(min_length=1, description="the candidate networks")
    label_encoders: tuple[EncoderSpec, ...] = Field(
        ("packaged:all-minilm-l6-v2", "packaged:glove-6b-50d"),  # type: ignore[arg-type]
        min_length=1,
        description="the foundation models that turn labels into label embeddings",
    )
    label_template: str = Field("a photo of a {label}", description="the text that stands for a class")
    estimators: tuple[EstimatorSpec, ...] = Field(
        ("emms-decoded",),  # type: ignore[arg-type]
        min_length=1,
        description="the transferability estimators; the first one orders the ranking",
    )
    limit: int | None = Field(None, ge=2, description="use a stratified subsample of this many samples")
    on_bad_sample: Literal["stop", "skip"] = Field("stop", description="what to do about a sample that cannot be read")
    seed: int = Field(0, ge=0, description="seed of everything random")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: autocast, faster where supported")
    batch_size: int | None = Field(None, ge=1, description="images a forward pass; by default what suits the device")
    store: str = Field("./artifacts", min_length=1, description="folder or fsspec URL where artifacts are kept")
    output: UserPath = Field(Path("./runs/latest"), description="folder that receives the results")
    truth: UserPath | None = Field(
        None, description="CSV file with columns model,value to evaluate the ranking against"
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        DOWNSTREAM.get(task)
        return task

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            known = ("auto", "cpu", "cuda", "cuda:1", "mps")
            raise ValueError(f"device '{device}' is unknown{did_you_mean(device, known)} (known: {', '.join(known)})")
        return device

    @field_validator("label_template")
    @classmethod
    def _usable_template(cls, template: str) -> str:
        check_template(template)
        return template

    @field_validator("store")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        if re.search(r"://[^/]*@", url):
            raise ValueError(
                "the URL holds credentials, which would end up in logs and results; "
                "set them in the environment, such as AWS_ACCESS_KEY_ID"
            )
        return url

    @field_validator("models", "label_encoders", "estimators")
    @classmethod
    def _no_repeats(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        ids = [entry.id for entry in entries]
        repeated = sorted({i for i in ids if ids.count(i) > 1})
        if repeated:
            raise ValueError(f"{', '.join(map(repr, repeated))} stands there more than once; remove the repeats")
        return entries

    @model_validator(mode="after")
    def _dataset_fits_task(self) -> Self:
        if self.task not in self.dataset.tasks:
            raise ValueError(f"dataset format '{self.dataset.format}' has no samples for task '{self.task}'")
        return self
