"""Question answering on texts: the answer to a question, as found in a passage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from emms.downstream.base import Sample
from emms.downstream.own_labels import OwnLabels

UNANSWERABLE = "unanswerable"
"""The label of a question to which the passage has no answer."""


@dataclass(frozen=True)
class PassageQuestion(Sample):
    """A question as `text`, and the passage with its answer as `context`."""

    text: str
    context: str
    answer_start: int = -1
    """Index of the answer's first character in `context`; -1 if unknown."""


class TextQuestionAnswering(OwnLabels):
    """Question answering on texts."""

    name = "text-question-answering"
    sample = PassageQuestion
    columns: ClassVar = {"question": "text", "context": "context", "answer_start": "answer_start"}
    optional = frozenset({"answer_start"})
    label_column = "answer"
    together = "context"
    metric = "F1"
    throughput = "samples/s"
