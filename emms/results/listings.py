"""Output of `emms models` and `emms estimators`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from emms.downstream import downstream
from emms.errors import EMMSError, UnavailableError, printable
from emms.estimators import ESTIMATORS
from emms.hub import local_only
from emms.models import SOURCES, candidate
from emms.models.base import Size
from emms.spec import ModelSpec

MEASURING_S = 30.0
"""Time limit for measuring networks whose sizes are not cached."""


def find_models(pattern: str, task: str | None = None) -> tuple[list[ModelSpec], list[str]]:
    """Return the networks that match a pattern such as `resnet*` or `timm:vit_*`, and the errors of broken sources.

    task: only those that can read the samples of this downstream task.

    Raises EMMSError if none matches, SpecError if there is no such task.
    """
    inputs = None if task is None else downstream(task).inputs()
    source, colon, name = pattern.rpartition(":")
    name = name if set("*?[") & set(name) else f"*{name}*"
    models, broken = list[ModelSpec](), [str(error) for error in SOURCES.broken()]
    for known, family in SOURCES:
        if colon and known != source:
            continue
        try:
            found = [ModelSpec(source=known, name=n) for n in family.names(name)]
            models += [m for m in found if inputs is None or candidate(m, None, inputs).reads <= inputs]
        except Exception as cause:  # from a plug-in
            broken.append(
                f"source of networks '{known}' fails ({printable(cause)}); it comes from {SOURCES.origin(known)}"
            )
    if not models:
        fits = "" if task is None else f" and fits task '{task}'"
        raise EMMSError(f"no model matches '{pattern}'{fits}; patterns are as in a shell, such as '*resnet*'")
    return models, broken


def model_lines(models: Sequence[ModelSpec], watched: Callable[[Iterable[ModelSpec]], Iterable[ModelSpec]]) -> str:
    """Return one line per network with its sizes, which are left blank after a time limit.

    watched: wraps an iterable to show progress.
    """
    width = max(len(model.id) for model in models)
    # Not a rich table, which would take seconds for thousands of rows, and fold names that users may want to grep.
    lines = [f"{'model':<{width}}  features  M params  G mult-adds"]
    deadline = time.monotonic() + MEASURING_S
    for model in watched(models):
        if time.monotonic() > deadline:
            lines.append(model.id)
            continue
        try:
            with local_only():
                size = Size(*candidate(model).size())
        except UnavailableError:  # its configuration would have to be downloaded
            lines.append(model.id)
            continue
        work = "" if size.multiply_adds is None else f"{size.multiply_adds / 1e9:.2f}"
        lines.append(f"{model.id:<{width}}  {size.features:>8,}  {size.parameters / 1e6:>8.1f}  {work:>11}".rstrip())
    return "\n".join(lines)


def estimator_table() -> Table:
    """Return a table of the estimators: what they measure, need, read and cost, and their papers."""
    table = Table(header_style="bold", show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("measures, needs and reads, cost, paper", overflow="fold")
    estimator: Any
    for name, estimator in ESTIMATORS:
        what = f"{estimator.summary}\nneeds {estimator.needs}, reads {estimator.reads}; cost: {estimator.cost}"
        table.add_row(name, Text(f"{what}\n{estimator.paper}"))
    return table
