"""A temporary Prefect server for the tests of flows and tasks, started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    results = tmp_path_factory.mktemp("prefect-results")
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: results}), prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> dict[str, Any]:
    """A small run: 24 images, three candidates of two networks, label embeddings from GloVe."""
    return {
        "dataset": {"format": "imagefolder", "path": str(photos)},
        "models": [
            {"source": "timm", "name": "resnet10t", "pretrained": False},
            {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False},
            {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False, "layer": "blocks.1"},
        ],
        "label_encoders": ["packaged:glove-6b-50d"],
        "estimators": ["emms", "logme"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory):
    """Folder of Prefect for commands in their own processes; one for all, since its first start takes half a minute."""
    return tmp_path_factory.mktemp("prefect")
