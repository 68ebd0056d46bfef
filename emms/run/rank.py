"""A whole run in plain Python: what a notebook calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from emms.progress import Listener, Silent, listener
from emms.results.ranking import Ranking
from emms.run.checks import check_models, check_run
from emms.run.executor import Inline
from emms.run.finish import finish
from emms.run.stage import Workspace
from emms.run.walk import rank_candidates
from emms.spec import Spec, load_spec
from emms.store import Store


def rank(spec: Spec | Mapping[str, Any] | str | Path, *, progress: Listener | None = None) -> Ranking:
    """Rank the candidate networks of a spec: a Spec, a mapping, or the path of a YAML file.

    For example `emms.rank({"dataset": {"format": "digits"}, "models": ["packaged:efficientnet-lite0"]})`.

    progress: what hears how the work goes on, such as `emms.results.terminal.Terminal()`; one that is a context
    manager is entered for the run.
    A candidate that fails is listed in the ranking's `failed`; the others are ranked.

    Raises SpecError when the spec is wrong, DatasetError when the samples cannot be used, LabelEncoderError when the
    labels cannot be embedded, StoreError when the store cannot be used, and ModelError when no candidate could be
    ranked.
    """
    spec = load_spec(spec)
    hears: Listener = progress or Silent()
    shown: AbstractContextManager[Any] = hears if isinstance(hears, AbstractContextManager) else nullcontext()
    token = listener.set(hears)
    try:
        with shown:
            check_run(spec)
            check_models(spec)
            return finish(spec, rank_candidates(spec, Inline(Workspace(spec, Store(spec.store)))))
    finally:
        listener.reset(token)
