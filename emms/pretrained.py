"""Folders of networks as transformers writes them (`save_pretrained`): their files, local or from the hub.

Candidate networks and label encoders share this. transformers is imported only where it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emms import hub
from emms.errors import UnavailableError, UnreachableError

# In the order in which transformers looks for them; safetensors first.
_WEIGHTS = [
    ["model.safetensors"],
    ["model.safetensors.index.json", "model-*-of-*.safetensors"],
    ["pytorch_model.bin"],
    ["pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"],
]
_SAFETENSORS = ["model.safetensors", "model-*-of-*.safetensors"]
_BIN = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]
_CONFIGURATION = ["*.json", "*.txt", "*.model", "*.spm", "*.tiktoken", "*_Pooling/config.json"]


def configuration(folder: Path) -> list[Path]:
    """Return the files that configure a network, its tokenizer and its image processor."""
    return sorted({path for pattern in _CONFIGURATION for path in folder.glob(pattern) if path.is_file()})


def weights(folder: Path) -> list[Path]:
    """Return the files of the weights that transformers would load; empty if there are none."""
    for patterns in _WEIGHTS:
        files = [path for pattern in patterns for path in folder.glob(pattern)]
        if files:
            return sorted(files)
    return []


def read_json(path: Path) -> Any | None:
    """Return the content of a JSON file, None if it does not exist. Raises OSError or ValueError if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RecursionError as cause:
        raise ValueError("it is nested too deeply") from cause


def snapshot(repository: str, with_weights: bool = True) -> Path:
    """Return the local folder of a repository of the hub, updated if the hub can be reached.

    Contains configuration files and, unless `with_weights` is off, weights: safetensors if the hub has them.

    Raises UnreachableError if neither the hub nor its local cache has the files within reach, UnavailableError if the
    hub refuses the request; the message is the reason alone.
    """
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    offline = hub.unreachable()
    cached = offline is not None
    formats = [_SAFETENSORS, _BIN] if with_weights else [[]]
    try:
        for names in formats:
            patterns = _CONFIGURATION + names
            folder = Path(snapshot_download(repository, allow_patterns=patterns, local_files_only=cached))
            if list(folder.glob("*.safetensors")):
                break
    except Exception as cause:  # errors of HTTP, of the file system, of huggingface_hub
        # An incomplete snapshot may still have all the files that are needed.
        invalid_name = isinstance(cause, ValueError)
        config = None if invalid_name else try_to_load_from_cache(repository, "config.json")
        if not isinstance(config, str):
            reason = offline if offline and not invalid_name else f"{cause}".strip().partition("\n")[0]
            raise (UnreachableError if offline else UnavailableError)(reason) from cause
        folder = Path(config).parent
    if offline and with_weights and not weights(folder):
        raise UnreachableError(f"only its configuration is in the local cache ({offline})")
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress transformers' progress bars and loading reports; problems are raised as errors."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
