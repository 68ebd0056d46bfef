"""What a downstream task declares, so that nothing outside its file has to know which task it is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from emms.errors import SpecError

PLACEHOLDER = "{label}"


@dataclass(frozen=True)
class Sample:
    """One sample. The fields that a task adds are what networks may read."""

    id: str


class Downstream(ABC):
    """A downstream task: what networks are ranked for. Subclass `ClassLabels` or `OwnLabels`."""

    name: ClassVar[str]
    """What it is called in a spec."""
    sample: ClassVar[type[Sample]]
    """What a dataset gives for each sample; its fields beside `id` are what networks may read."""
    classes: ClassVar[bool]
    """Whether samples share labels, so that a label is a class; otherwise each sample has a label of its own."""
    template: ClassVar[str]
    """The default text of a label, with `{label}` in it."""
    label_encoders: ClassVar[tuple[str, ...]] = ("packaged:all-minilm-l6-v2", "packaged:glove-6b-50d")
    """The default foundation models."""
    estimators: ClassVar[tuple[str, ...]] = ("emms-decoded",)
    """The default estimators; the first one orders the ranking."""
    metric: ClassVar[str]
    """What fine-tuned networks are compared by, such as accuracy."""
    throughput: ClassVar[str]
    """What the number of samples per second is called, such as img/s."""

    @classmethod
    def inputs(cls) -> frozenset[str]:
        """Return the fields of a sample that networks may read."""
        return frozenset(field.name for field in fields(cls.sample)) - {"id"}

    @abstractmethod
    def check(self, labels: Sequence[str], counts: np.ndarray, where: str = "") -> None:
        """Raise DatasetError unless these labels, with `counts` (U,) samples each, can be used to rank networks.

        where: what is added to the message about a label without samples, such as why it has none.
        """

    @abstractmethod
    def notes(self, labels: Sequence[str], count: int) -> list[str]:
        """Return what to warn of, in sentences, about `count` samples with these labels."""

    @abstractmethod
    def describe(self, labels: int, count: int) -> str:
        """Return how large a dataset is, such as `1,797 samples, 10 classes`."""

    @abstractmethod
    def texts(self, labels: Sequence[str], template: str) -> list[str]:
        """Return what each label says, as text for a label encoder.

        Raises SpecError if the template cannot be used, LabelEncoderError if a label has no text.
        """


def check_template(template: str) -> None:
    """Raise SpecError unless `{label}` stands in the template once, and nothing else in braces."""
    if template.count(PLACEHOLDER) != 1 or re.search("[{}]", template.replace(PLACEHOLDER, "")):
        raise SpecError(
            f"label template '{template}' must hold {PLACEHOLDER} once and no other braces; "
            f"write for instance 'a photo of a {PLACEHOLDER}'"
        )
