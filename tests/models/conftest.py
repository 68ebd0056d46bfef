"""Tiny networks of transformers, built once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_networks


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the folder of a tiny network: `tiny("bert")`, or `tiny("vit", "roberta")` for a captioner."""
    folder, built = tmp_path_factory.mktemp("networks"), set[str]()

    def tiny(*kinds: str) -> Path:
        path = folder / "-".join(kinds)
        if path.name not in built:
            if len(kinds) == 1:
                tiny_networks.build(path, *kinds)
            else:
                tiny_networks.build_captioner(path, *kinds)
            built.add(path.name)
        return path

    return tiny
