"""Interface of downstream tasks: everything that depends on the task is declared here, in one file per task."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from emms.errors import SpecError

PLACEHOLDER = "{label}"


@dataclass(frozen=True)
class Sample:
    """One sample. Subclasses add the inputs of networks as fields, such as `image`."""

    id: str


class Downstream(ABC):
    """A downstream task, for which networks are ranked. Subclass `ClassLabels` or `OwnLabels`."""

    name: ClassVar[str]
    """Name of the task in a spec."""
    sample: ClassVar[type[Sample]]
    """Type of the samples that datasets load; its fields other than `id` are the inputs of networks."""
    columns: ClassVar[Mapping[str, str]] = {}
    """What tables with samples of this task call the fields of a sample, such as `question` for `text`. Empty: samples
    of this task do not come in tables."""
    label_column: ClassVar[str] = "label"
    """What tables with samples of this task call the label."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """The columns that a table may lack; the field is then empty."""
    classes: ClassVar[bool]
    """Whether samples share labels, so that a label is a class; otherwise each sample has its own label."""
    template: ClassVar[str]
    """Default text of a label, with the placeholder `{label}`."""
    label_encoders: ClassVar[tuple[str, ...]] = ("packaged:all-minilm-l6-v2", "packaged:glove-6b-50d")
    """Default label encoders."""
    estimators: ClassVar[tuple[str, ...]] = ("emms-decoded",)
    """Default estimators; the first one orders the ranking."""
    metric: ClassVar[str]
    """Metric of fine-tuned networks, such as accuracy."""
    throughput: ClassVar[str]
    """Unit of throughput, such as img/s."""
    other_labels: ClassVar[Mapping[str, type[Downstream]]] = {}
    """The same task with labels of another kind, by the value of `labels:` in a spec, such as `text`."""

    @classmethod
    def inputs(cls) -> frozenset[str]:
        """Return the fields of a sample that networks can use as input."""
        return frozenset(field.name for field in fields(cls.sample)) - {"id"}

    @abstractmethod
    def check(self, labels: Sequence[str], counts: np.ndarray, where: str = "") -> None:
        """Check that networks can be ranked with these labels.

        counts: samples per label, (U,). where: added to the error message about a label without samples, such as the
        reason why it has none.
        Raises DatasetError if they cannot.
        """

    @abstractmethod
    def notes(self, labels: Sequence[str], count: int) -> list[str]:
        """Return warnings about a dataset of `count` samples with these labels."""

    @abstractmethod
    def describe(self, labels: int, count: int) -> str:
        """Return the size of a dataset as text, such as `1,797 samples, 10 classes`."""

    def check_template(self, template: str) -> None:
        """Raise SpecError unless `texts` can fill in the template."""
        check_template(template)

    @abstractmethod
    def texts(self, labels: Sequence[str], template: str) -> list[str]:
        """Return the text of each label for a label encoder.

        Raises SpecError if the template is invalid, LabelEncoderError if a label has no text.
        """


def check_template(template: str) -> None:
    """Raise SpecError unless the template contains `{label}` exactly once and no other braces."""
    if template.count(PLACEHOLDER) != 1 or re.search("[{}]", template.replace(PLACEHOLDER, "")):
        raise SpecError(
            f"label template '{template}' must contain {PLACEHOLDER} exactly once and no other braces; "
            f"for example: 'a photo of a {PLACEHOLDER}'"
        )
