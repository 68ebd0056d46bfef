"""Classification of texts, or of pairs of texts: one class per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from emms.downstream.base import Sample
from emms.downstream.class_labels import ClassLabels


@dataclass(frozen=True)
class TextSample(Sample):
    """A text, and the second text of a pair as `context`; empty if samples are single texts."""

    text: str
    context: str = ""


class TextClassification(ClassLabels):
    """Classification of texts or pairs of texts."""

    name = "text-classification"
    sample = TextSample
    columns: ClassVar = {"text": "text", "pair": "context"}
    optional = frozenset({"pair"})
    template = "{label}"
    throughput = "samples/s"
