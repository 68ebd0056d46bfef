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


class _VisualQuestions(Downstream):
    """What answers as classes and answers as text have in common."""

    name = "visual-question-answering"
    sample = VisualQuestion
    columns: ClassVar = {"image": "image", "question": "text"}
    label_column = "answer"
    metric = "accuracy"
    throughput = "samples/s"


class AnswersAsText(_VisualQuestions, OwnLabels):
    """Answers as text: `labels: text`.

    Readers merge answers that differ only in case, white space, underscores or hyphens, as they do for classes: the
    metric of VQA v2 compares answers without regard to case and punctuation (Goyal et al. 2017, arXiv 1612.00837).
    """


class VisualQuestionAnswering(_VisualQuestions, ClassLabels):
    """Answers as classes, as in Meng et al. 2023."""

    template = "{label}"
    other_labels: ClassVar = {"text": AnswersAsText}
