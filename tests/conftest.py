"""What all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# No test may wait for a network that is not there.
os.environ["HF_HUB_OFFLINE"] = "1"

# Nor may one depend on what the user's cache holds, or leave anything there. Processes that tests start inherit this.
os.environ["EMMS_CACHE"] = tempfile.mkdtemp(prefix="emms-cache-")
atexit.register(shutil.rmtree, os.environ["EMMS_CACHE"], ignore_errors=True)

# Timings on a shared machine say nothing about correctness.
settings.register_profile("emms", deadline=None)
settings.load_profile("emms")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three class folders with eight small images each; classes differ in colour."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(["apple", "banana", "cherry"]):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 120, (20, 24, 3), dtype=np.uint8)
            pixels[..., number] += 100
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"
