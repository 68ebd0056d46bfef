"""Visual question answering: the answer to a question about an image, as a class or as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from emms.downstream.base import Downstream, Sample
from emms.downstream.class_labels import ClassLabels
from emms.downstream.own_labels import OwnLabels


@dataclass(frozen=True)
class VisualQuestion(Sample):
    """An image, and a question about it as `text`."""

    image: Image
    text: str


class _Questions(Downstream):
    """What does not depend on the kind of labels."""

    name = "visual-question-answering"
    sample = VisualQuestion
    columns: ClassVar = {"image": "image", "question": "text"}
    label_column = "answer"
    metric = "accuracy"
    throughput = "samples/s"


class AnswersAsText(_Questions, OwnLabels):
    """Answers as text: `labels: text`."""


class VisualQuestionAnswering(_Questions, ClassLabels):
    """Answers as classes, as in Meng et al. 2023."""

    template = "{label}"
    other_labels: ClassVar = {"text": AnswersAsText}
