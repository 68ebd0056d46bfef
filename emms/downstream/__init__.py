"""Downstream tasks, one per file: what networks are ranked for."""

from __future__ import annotations

from emms.downstream.base import Downstream, Sample, check_template
from emms.errors import SpecError
from emms.registry import Registry

DOWNSTREAM: Registry[type[Downstream]] = Registry(
    "task",
    "emms.downstream",
    Downstream,
    {"image-classification": "emms.downstream.image_classification:ImageClassification"},
    SpecError,
)
"""Downstream tasks by their name in a spec; the first one is the default."""


def downstream(name: str) -> Downstream:
    """Return the downstream task with this name. Raises SpecError if there is none."""
    return DOWNSTREAM.get(name)()


__all__ = ["DOWNSTREAM", "Downstream", "Sample", "check_template", "downstream"]
