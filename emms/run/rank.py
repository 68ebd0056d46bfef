"""A complete run in plain Python, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from emms.progress import Listener, Silent, listener
from emms.results.ranking import Ranking
from emms.run.checks import check
from emms.run.executor import Inline
from emms.run.finish import finish
from emms.run.stage import Workspace
from emms.run.walk import rank_candidates
from emms.spec import Spec, load_spec
from emms.store import Store


def rank(spec: Spec | Mapping[str, Any] | str | Path, *, progress: Listener | None = None) -> Ranking:
    """Rank the candidate networks of a spec: a Spec, a mapping, or the path of a YAML file.

    For example `emms.rank({"dataset": {"format": "digits"}, "models": ["packaged:efficientnet-lite0"]})`.

    progress: a listener that shows the progress, such as `emms.results.terminal.Terminal()`; if it is a context
    manager, it is entered for the run.
    A candidate that fails is listed in the ranking's `failed`; the others are ranked.

    Raises SpecError if the spec is invalid, DatasetError if the samples cannot be used, LabelEncoderError if the
    labels cannot be embedded, StoreError if the store cannot be used, and ModelError if no candidate could be ranked.
    """
    spec = load_spec(spec)
    receiver: Listener = progress or Silent()
    context: AbstractContextManager[Any] = receiver if isinstance(receiver, AbstractContextManager) else nullcontext()
    token = listener.set(receiver)
    try:
        with context:
            check(spec)
            return finish(spec, rank_candidates(spec, Inline(Workspace(spec, Store(spec.store)))))
    finally:
        listener.reset(token)
