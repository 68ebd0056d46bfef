"""From labels to text, for each task: one of the three places that know which task it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from emms.errors import LabelEncoderError, SpecError, did_you_mean

PLACEHOLDER = "{label}"


def label_texts(task: str, labels: list[str], template: str) -> list[str]:
    """Return what each label says, as text for a label encoder, in the order of `labels`.

    `labels` are those of a dataset's listing, each once; `template` is a sentence with `{label}` in it.
    Raises SpecError when the task is unknown or the template cannot be used, LabelEncoderError when a label says
    nothing or two of them say the same.
    """
    if task not in _TEXTS:
        raise SpecError(f"task '{task}' is unknown{did_you_mean(task, TASKS)} (known: {', '.join(TASKS)})")
    return _TEXTS[task](labels, template)


def check_template(template: str) -> None:
    """Raise SpecError unless `{label}` stands in the template once, and nothing else in braces."""
    if template.count(PLACEHOLDER) != 1 or re.search("[{}]", template.replace(PLACEHOLDER, "")):
        raise SpecError(
            f"label template '{template}' must hold {PLACEHOLDER} once and no other braces; "
            f"write for instance 'a photo of a {PLACEHOLDER}'"
        )


def class_text(label: str) -> str:
    """Return a class name as it is spoken: the underscores and hyphens that join words in folder names are spaces.

    A leading hyphen stays: `-1` is a number.
    """
    return " ".join(re.sub(r"(?<=\w)-+(?=\w)", " ", label.replace("_", " ")).split())


def _class_texts(labels: list[str], template: str) -> list[str]:
    check_template(template)
    spoken: dict[str, str] = {}
    for label in labels:
        name = class_text(label)
        if not name:
            raise LabelEncoderError(f"class '{label}' has no name that can be written as text; rename it")
        if name in spoken:
            raise LabelEncoderError(
                f"classes '{spoken[name]}' and '{label}' both read '{name}', so no label encoder can tell them apart; "
                f"rename one or merge them"
            )
        spoken[name] = label
    return [template.replace(PLACEHOLDER, name) for name in spoken]


_TEXTS: dict[str, Callable[[list[str], str], list[str]]] = {"image-classification": _class_texts}

TASKS = tuple(_TEXTS)
"""The names of the tasks whose labels can be written as text."""
