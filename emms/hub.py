"""The model hub, asked first whether it is there at all: its client takes half a minute a file to give up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock

from emms.errors import UnreachableError

PATIENCE_S = 5.0
"""For a connection and for the answer. An address that swallows packets costs so much for each of its numbers."""
BELIEVED_S = 300.0
"""How long it is believed that the hub is out of reach, so that a hundred models do not ask a hundred times."""

_local_only: ContextVar[bool] = ContextVar("local_only", default=False)

_asking = Lock()
_refusal: tuple[float, str] | None = None


@contextmanager
def local_only() -> Iterator[None]:
    """Within it, nothing is downloaded: what the local cache lacks is out of reach."""
    token = _local_only.set(True)
    try:
        yield
    finally:
        _local_only.reset(token)


def unreachable() -> str | None:
    """Return why the hub cannot be reached, or None if it answers, whatever it says."""
    global _refusal
    from huggingface_hub import constants

    if _local_only.get():
        return "nothing is downloaded in a dry run"
    if constants.HF_HUB_OFFLINE:
        return "offline mode is on (HF_HUB_OFFLINE)"
    with _asking:
        if _refusal is None or time.monotonic() - _refusal[0] > BELIEVED_S:
            reason = _ask(constants.ENDPOINT)
            _refusal = None if reason is None else (time.monotonic(), reason)
        return _refusal and _refusal[1]


def fetch(repository: str, names: Sequence[str], revision: str | None = None) -> Path:
    """Return the first of the named files that a repository has, from the local cache if the hub is out of reach.

    Raises UnreachableError where neither has it, and what the hub's client raises when the hub refuses.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    offline = unreachable()
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=offline is not None))
        except EntryNotFoundError as cause:
            if offline is None and (isinstance(cause, LocalEntryNotFoundError) or name == names[-1]):
                raise
    raise UnreachableError(str(offline))


def _ask(endpoint: str) -> str | None:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=PATIENCE_S)
    except Exception as cause:  # the hub's client has had several HTTP libraries under it, each with errors of its own
        reason = str(cause).partition("\n")[0] or type(cause).__name__
        return f"the model hub at {endpoint} cannot be reached ({reason})"
    return None
