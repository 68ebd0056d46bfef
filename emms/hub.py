"""Files of the Hugging Face hub and of other URLs, from the local caches or downloaded.

The hub is asked once whether it answers at all, since its client takes half a minute per file to give up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse

from emms.errors import UnreachableError

TIMEOUT_S = 5.0
"""For a connection and for the answer. An address that drops packets takes as long for each of its IP numbers."""
REMEMBERED_S = 300.0
"""How long the hub is taken to be unreachable without asking again: a hundred models must not ask a hundred times."""

_asking = Lock()
_refusal: tuple[float, str] | None = None
_local_only: ContextVar[bool] = ContextVar("local_only", default=False)


@contextmanager
def local_only() -> Iterator[None]:
    """Download nothing in this block: what is not in a local cache raises UnreachableError.

    It holds for the calling thread. A thread that is started in the block needs its context (`copy_context().run`).
    """
    token = _local_only.set(True)
    try:
        yield
    finally:
        _local_only.reset(token)


def unreachable() -> str | None:
    """Return why the hub cannot be reached, or None if it answers, with an error or without."""
    global _refusal
    if reason := _switched_off():
        return reason
    from huggingface_hub import constants

    with _asking:
        if _refusal is None or time.monotonic() - _refusal[0] > REMEMBERED_S:
            reason = _ask(constants.ENDPOINT)
            _refusal = None if reason is None else (time.monotonic(), reason)
        return _refusal and _refusal[1]


def fetch(repository: str, names: Sequence[str], revision: str | None = None) -> Path:
    """Return the first of the named files that a repository has, from the local cache if the hub is unreachable.

    Raises UnreachableError if neither has it, and what the hub's client raises if the hub refuses.
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


def fetch_url(url: str) -> Path:
    """Return the file of a URL, from the cache that torch.hub keeps if it is there.

    Raises UnreachableError if it is not and cannot be downloaded, and HTTPError if the server refuses.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    file = PurePosixPath(urlparse(url).path).name
    path = Path(os.environ.get("TORCH_HOME") or Path(cache, "torch")).expanduser() / "hub" / "checkpoints" / file
    if path.is_file():
        return path
    if reason := _switched_off():
        raise UnreachableError(reason)
    from torch.hub import HASH_REGEX, download_url_to_file

    path.parent.mkdir(parents=True, exist_ok=True)
    promised = HASH_REGEX.search(file)
    try:
        download_url_to_file(url, str(path), promised and promised[1], progress=False)
    except HTTPError:
        raise
    except URLError as cause:
        raise UnreachableError(f"{url} cannot be reached ({cause.reason})") from cause
    return path


def _switched_off() -> str | None:
    """Return why nothing may be downloaded, or None if it may."""
    if _local_only.get():
        return "it is not in the local cache, and downloads are switched off"
    from huggingface_hub import constants

    return "offline mode is on (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else None


def _ask(endpoint: str) -> str | None:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=TIMEOUT_S)
    except Exception as cause:  # the hub's client has had several HTTP libraries under it, each with its own errors
        reason = str(cause).partition("\n")[0] or type(cause).__name__
        return f"the model hub at {endpoint} cannot be reached ({reason})"
    return None
