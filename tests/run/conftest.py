"""Small runs for tests: 24 images, random networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

LAYER = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False, "layer": "blocks.0"}


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "dataset": {"format": "imagefolder", "path": str(photos)},
        "models": [LAYER],
        "label_encoders": ["packaged:glove-6b-50d"],
        "estimators": ["emms"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }
