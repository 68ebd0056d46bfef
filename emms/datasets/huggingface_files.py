"""Load a split of a Hugging Face dataset with the `datasets` library, which puts it into Arrow files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emms.errors import DatasetError, did_you_mean, printable, shortened

_LOCAL = re.compile(r"[./~]")
_SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Split:
    """A split of a dataset."""

    files: list[str]
    """Its Arrow files, in the order of its rows."""
    columns: list[str]
    class_names: dict[str, list[str]]
    """The names of the classes by column of class labels."""
    rows: int


def load_split(name: str, config: str | None, split: str) -> tuple[Split, str]:
    """Return a split of a dataset on the hub or in a folder, and the folder that its images must be in.

    Code of the dataset is never run. A folder is one that `save_to_disk` has written, or has files such as Parquet.

    Raises DatasetError if the library is not installed, or cannot load it.
    """
    try:
        import datasets
    except ImportError as cause:
        raise DatasetError(
            f"the format huggingface needs the package datasets ({cause}); install it: pip install datasets"
        ) from cause
    folder = local_folder(name)
    try:
        if folder is not None and any(os.path.isfile(f"{folder}/{file}") for file in _SAVED):
            loaded = datasets.load_from_disk(folder, keep_in_memory=False)
        else:
            loaded = datasets.load_dataset(folder or name, config, keep_in_memory=False)
    except Exception as cause:  # the library raises exceptions of many types
        reason = f"{type(cause).__name__}: {shortened(cause)}"
        raise DatasetError(
            f"dataset '{printable(name)}' cannot be loaded ({reason}); check its name, and `config:` if it has several "
            f"configurations"
        ) from cause
    return _split(_chosen(loaded, name, split), name), folder or _cache()


def local_folder(name: str) -> str | None:
    """Return the absolute path of a folder, or None for the name of a dataset on the hub."""
    if _LOCAL.match(name) or os.path.isdir(name):
        return os.path.abspath(os.path.expanduser(name))
    return None


def _cache() -> str:
    from datasets import config

    return str(Path(config.HF_CACHE_HOME).expanduser().absolute())


def _chosen(loaded: Any, name: str, split: str) -> Any:
    """Return the split of what the library has loaded."""
    if not isinstance(loaded, dict):  # `save_to_disk` of one split
        known = str(loaded.split or split)
        loaded = {known: loaded}
    if split not in loaded:
        raise DatasetError(
            f"dataset '{printable(name)}' has no split '{printable(split)}'{did_you_mean(split, loaded)} (its splits: "
            f"{', '.join(map(str, loaded))}); choose with `split:`"
        )
    return loaded[split]


def _split(dataset: Any, name: str) -> Split:
    class_names = {}
    for column, feature in dataset.features.items():
        if type(feature).__name__ == "ClassLabel":
            class_names[column] = list(map(str, feature.names))
    files = [os.path.abspath(file["filename"]) for file in dataset.cache_files]
    if not files and len(dataset):
        raise DatasetError(f"dataset '{printable(name)}' is not in files; unset HF_DATASETS_IN_MEMORY_MAX_SIZE")
    return Split(files, list(dataset.column_names), class_names, len(dataset))
