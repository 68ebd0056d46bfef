"""The package as users get it: its wheel, in a new environment and away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"

# Everything else is the default: two label encoders, the estimators, the label template.
SPEC = """\
dataset: {format: digits}
limit: 60
models: [packaged:efficientnet-lite0, packaged:efficientnet-lite1]
"""


def uv(*arguments: str | Path) -> str:
    done = subprocess.run([find_uv_bin(), *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Iterator[Path]:
    """A new virtual environment with the wheel, removed afterwards.

    It lies next to uv's cache, that is on the same file system: files are linked, where copies would take 6 GB.
    """
    cache = Path(uv("cache", "dir").strip())
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="emms-wheel-", dir=cache.parent) as name:
        uv("venv", "--python", sys.executable, name)
        uv("pip", "install", "--python", name, "--constraint", CONSTRAINTS, wheel)
        yield Path(name)


def emms(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder, as a user whose home is empty and who has no model hub."""
    variables = {"HOME": str(folder / "home"), "PATH": os.defpath, "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1"}
    command = [environment / "bin" / "emms", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_wheel_has_every_file_of_the_three_packages_and_nothing_else(wheel):
    files = {
        path.relative_to(ROOT).as_posix()
        for package in ("emms", "tasks", "flows")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"emms/models/timm_facts.json.xz", "emms/py.typed", "tasks/py.typed", "flows/py.typed"} <= files
    assert {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name} == files


def test_the_wheel_carries_the_readme_and_the_licence(wheel, metadata):
    assert metadata["License-Expression"] == "MIT"
    (licence,) = (name for name in ZipFile(wheel).namelist() if name.endswith(f"licenses/{metadata['License-File']}"))
    assert ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True) == (ROOT / "README.md").read_bytes()


def test_two_networks_are_ranked_with_the_defaults_in_a_new_environment(environment, metadata, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "spec.yaml").write_text(SPEC)
    asked = emms(environment, tmp_path, "--version")
    assert (asked.stdout, asked.returncode) == (f"emms {metadata['Version']}\n", 0), asked.stderr

    done = emms(environment, tmp_path, "rank", "spec.yaml", "--output", "results")
    assert done.returncode == 0, done.stderr
    ranking = pl.read_csv(tmp_path / "results" / "ranking.csv")
    assert set(ranking["model"]) == {"packaged:efficientnet-lite0", "packaged:efficientnet-lite1"}
    assert ranking["rank"].null_count() == 0


def test_what_is_installed_with_the_wheel_is_pinned(environment):
    pinned = {line.split(";")[0].strip() for line in CONSTRAINTS.read_text().splitlines()}
    installed = uv("pip", "freeze", "--python", environment).splitlines()
    assert {line for line in installed if not line.startswith("emms @ ")} <= pinned
