"""Downstream tasks, one per file: what networks are ranked for."""

from __future__ import annotations

from emms.downstream.base import Downstream, Sample, check_template
from emms.errors import SpecError
from emms.registry import Registry

DOWNSTREAM: Registry[type[Downstream]] = Registry(
    "task",
    "emms.downstream",
    Downstream,
    {
        "image-classification": "emms.downstream.image_classification:ImageClassification",
        "image-captioning": "emms.downstream.image_captioning:ImageCaptioning",
        "visual-question-answering": "emms.downstream.visual_question_answering:VisualQuestionAnswering",
        "referring-expression": "emms.downstream.referring_expression:ReferringExpression",
        "text-question-answering": "emms.downstream.text_question_answering:TextQuestionAnswering",
        "text-classification": "emms.downstream.text_classification:TextClassification",
    },
    SpecError,
)
"""Downstream tasks by their name in a spec; the first one is the default."""


def downstream(name: str, labels: str | None = None) -> Downstream:
    """Return the downstream task with this name, and with labels of this kind instead of its default.

    Raises SpecError if there is no such task, or if it has no such labels.
    """
    task = DOWNSTREAM.get(name)
    if labels is None:
        return task()
    if labels not in task.other_labels:
        known = ", ".join(task.other_labels) or "none besides its default"
        raise SpecError(f"task '{name}' has no labels of the kind '{labels}' (it has: {known})")
    return task.other_labels[labels]()


__all__ = ["DOWNSTREAM", "Downstream", "Sample", "check_template", "downstream"]
