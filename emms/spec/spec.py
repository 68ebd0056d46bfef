"""The spec of a run: one pydantic model for the YAML file, the flow's parameter and the form in Prefect's UI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from emms.datasets import Dataset
from emms.downstream import DOWNSTREAM, downstream
from emms.errors import did_you_mean, printable
from emms.paths import UserPath
from emms.spec.dataset import AnyDataset
from emms.spec.encoder import EncoderSpec
from emms.spec.estimator import EstimatorSpec
from emms.spec.model import ModelSpec
from emms.spec.text import Name


def _of_task(attribute: str) -> Callable[[dict[str, Any]], Any]:
    """Return the factory of a default that is an attribute of the downstream task."""
    return lambda fields: getattr(downstream(fields["task"], fields["labels"]), attribute)


class Spec(BaseModel):
    """Which networks to rank, on which dataset, by which estimators, and where to write the results.

    All fields have defaults except `dataset` and `models`; some defaults depend on the task.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    task: str = Field(DOWNSTREAM.names()[0], description="The downstream task for which the networks are ranked.")
    labels: str | None = Field(
        None,
        description="The kind of the labels, where the task has several: text, for answers that are text rather than "
        "classes. The default is the task's.",
    )
    dataset: AnyDataset = Field(description="The samples and their labels.")
    models: tuple[ModelSpec, ...] = Field(min_length=1, description="The candidate networks.")
    label_encoders: tuple[EncoderSpec, ...] = Field(
        default_factory=_of_task("label_encoders"),
        min_length=1,
        description="The foundation models that turn the labels into label embeddings. The default is the task's.",
    )
    label_template: str = Field(
        default_factory=_of_task("template"),
        description="The text for a label; {label} is replaced by its name, and for referring expressions {box} and "
        "{expression} by its parts. The default is the task's.",
    )
    estimators: tuple[EstimatorSpec, ...] = Field(
        default_factory=_of_task("estimators"),
        min_length=1,
        description="The transferability estimators. The first one orders the ranking. The default is the task's.",
    )
    limit: int | None = Field(
        None, ge=2, description="Use a stratified subsample of this size. The default is to use all samples."
    )
    on_bad_sample: Literal["stop", "skip"] = Field(
        "stop", description="What to do when a sample cannot be read: stop the run, or skip the sample and record it."
    )
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="The seed of all random numbers, except for the weights of untrained models."
    )
    device: str = Field(
        "auto", description="Where the networks run: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps."
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="The precision of the forward passes. bfloat16 (autocast) is faster on most GPUs."
    )
    batch_size: int | None = Field(
        None, ge=1, description="The number of samples per forward pass. The default is chosen for the device."
    )
    store: Name = Field(
        "./artifacts", description="The folder, or fsspec URL such as s3://bucket/emms, where artifacts are stored."
    )
    output: UserPath = Field(Path("./runs/latest"), description="The folder where the results are written.")
    truth: UserPath | None = Field(
        None, description="A CSV or Parquet file with columns model and value, to evaluate the ranking against."
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        DOWNSTREAM.get(task)
        return task

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, labels: str | None, info: ValidationInfo) -> str | None:
        if "task" in info.data:
            downstream(info.data["task"], labels)
        return labels

    @field_validator("dataset")
    @classmethod
    def _of_task(cls, dataset: Dataset, info: ValidationInfo) -> Dataset:
        return dataset.for_task(info.data["task"]) if "task" in info.data else dataset

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", device):
            known = ("auto", "cpu", "cuda", "cuda:1", "mps")
            raise ValueError(
                f"device '{printable(device)}' is unknown{did_you_mean(device, known)} (known: {', '.join(known)})"
            )
        return device

    @field_validator("label_template")
    @classmethod
    def _usable_template(cls, template: str, info: ValidationInfo) -> str:
        if "task" in info.data:  # it is not if the task is invalid, which is reported
            downstream(info.data["task"]).check_template(template)
        return template

    @field_validator("store")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        if re.search(r"://[^/]*@", url):
            raise ValueError(
                "the URL contains credentials, which would end up in logs and results; "
                "set them in the environment, such as AWS_ACCESS_KEY_ID"
            )
        return url

    @field_validator("models")
    @classmethod
    def _one_name_per_candidate(cls, models: tuple[ModelSpec, ...]) -> tuple[ModelSpec, ...]:
        # An alias must not be the id of another candidate without its alias, so that outputs are unambiguous.
        names = Counter(name for model in models for name in {model.id, model.unaliased_id})
        _refuse_repeats(names, "remove the repeats, or change an alias")
        # Candidates may share a network, but not the name of a network or of a pair for another one.
        named: dict[str, ModelSpec] = {}
        for network in (one for model in models for one in (model, *model.parts)):
            known = named.setdefault(network.id, network)
            if not known.same_network(network):
                raise ValueError(f"'{network.id}' is the name of two different networks; change an alias")
        return models

    @field_validator("label_encoders", "estimators")
    @classmethod
    def _no_repeats(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_repeats(Counter(entry.id for entry in entries), "remove the repeats")
        return entries


def _refuse_repeats(names: Counter[str], remedy: str) -> None:
    repeated = [repr(name) for name, count in names.items() if count > 1]
    if repeated:
        raise ValueError(f"{', '.join(repeated)} is the name of more than one entry; {remedy}")
