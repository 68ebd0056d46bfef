"""Files of the Hugging Face hub and of other URLs, from local caches or downloaded.

Whether the hub can be reached is checked once, since its client takes half a minute per file to give up.
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
"""Limit for connecting and for the response. A host that drops packets takes this long for each of its addresses."""
REMEMBERED_S = 300.0
"""How long a failed check is remembered, so that a hundred models do not check a hundred times."""

_lock = Lock()
_failure: tuple[float, str] | None = None
"""When the last check failed, by time.monotonic(), and why; None if it succeeded."""
_local_only: ContextVar[bool] = ContextVar("local_only", default=False)


@contextmanager
def local_only() -> Iterator[None]:
    """Disable downloads in this block: files that are not in a local cache raise UnreachableError.

    Applies to the calling thread. A thread that is started in the block needs its context (`copy_context().run`).
    """
    token = _local_only.set(True)
    try:
        yield
    finally:
        _local_only.reset(token)


def unreachable() -> str | None:
    """Return why the hub cannot be reached, or None if it responds, even with an error."""
    global _failure
    if reason := _switched_off():
        return reason
    from huggingface_hub import constants

    with _lock:
        if _failure is None or time.monotonic() - _failure[0] > REMEMBERED_S:
            reason = _connect(constants.ENDPOINT)
            _failure = None if reason is None else (time.monotonic(), reason)
        return _failure and _failure[1]


def fetch(repository: str, names: Sequence[str], revision: str | None = None) -> Path:
    """Return the path of the first of these files that a repository has; only cached ones if the hub is unreachable.

    Raises UnreachableError if the hub is unreachable and the cache has none of them, and the errors of huggingface_hub
    if the hub refuses the request.
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
    """Return the path of a downloaded file, from torch.hub's cache if it has the file.

    Raises UnreachableError if the server cannot be reached, and HTTPError if it refuses the request.
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
    hash_in_name = HASH_REGEX.search(file)
    try:
        download_url_to_file(url, str(path), hash_in_name and hash_in_name[1], progress=False)
    except HTTPError:
        raise
    except URLError as cause:
        raise UnreachableError(f"{url} cannot be reached ({cause.reason})") from cause
    return path


def _switched_off() -> str | None:
    """Return why downloads are switched off, or None if they are not."""
    if _local_only.get():
        return "it is not in the local cache, and downloads are switched off"
    from huggingface_hub import constants

    return "offline mode is on (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else None


def _connect(endpoint: str) -> str | None:
    """Return why an endpoint cannot be reached, or None if it responds."""
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=TIMEOUT_S)
    except Exception as cause:  # the errors depend on the HTTP library that huggingface_hub uses
        reason = str(cause).partition("\n")[0] or type(cause).__name__
        return f"the model hub at {endpoint} cannot be reached ({reason})"
    return None
