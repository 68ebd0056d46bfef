"""Fixtures of all tests."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# No test may wait for a missing network connection.
os.environ["HF_HUB_OFFLINE"] = "1"

# Tests must not read or write the user's cache. Processes that tests start inherit this.
os.environ["EMMS_CACHE"] = tempfile.mkdtemp(prefix="emms-cache-")
atexit.register(shutil.rmtree, os.environ["EMMS_CACHE"], ignore_errors=True)

# Timings on a shared machine must not fail a test.
settings.register_profile("emms", deadline=None)
settings.load_profile("emms")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three class folders of eight small images each; classes differ in colour."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(["apple", "banana", "cherry"]):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 120, (20, 24, 3), dtype=np.uint8)
            pixels[..., number] += 100
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """The folder into which `install` puts packages."""
    (tmp_path / "site-packages").mkdir()
    return tmp_path / "site-packages"


@pytest.fixture
def install(site_packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install packages of other authors: `install(package, entry_points, **modules)`, modules as source text."""
    monkeypatch.syspath_prepend(str(site_packages))
    before = set(sys.modules)

    def install(package: str, entry_points: str, **modules: str) -> None:
        metadata = site_packages / f"{package}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        for name, source in modules.items():
            (site_packages / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    yield install
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site_packages)):
            del sys.modules[name]
