"""The examples in the README and in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from PIL import Image

import emms
from emms.spec import load_spec
from flows.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def modules() -> list[str]:
    return ["emms", *(module.name for module in pkgutil.walk_packages(emms.__path__, "emms."))]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.fixture
def project_folder(tmp_path, photos, monkeypatch):
    """A folder with everything that the README's examples need: photographs, a spec, a network that needs no hub."""
    monkeypatch.chdir(tmp_path)
    for name in ("daisy", "tulip"):
        (tmp_path / "photos" / name).mkdir()
        for i in range(6):
            Image.effect_noise((32, 32), 30 + i).convert("RGB").save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "spec.yaml").write_text(
        "dataset: {format: imagefolder, path: ./photos}\n"
        "models: [{source: timm, name: test_vit, pretrained: false}, packaged:efficientnet-lite0@blocks.0]\n"
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("example", blocks("python"))
def test_examples_in_the_readme_run(project_folder, example):
    # A network that needs no download replaces those of the README.
    runnable = re.sub(r"timm:\w+\.\w+", "packaged:efficientnet-lite1", example)
    exec(compile(runnable, "README.md", "exec"), {})


def test_specs_in_the_readme_can_be_read(project_folder):
    found = [block for block in blocks("yaml") if "models:" in block]
    assert found
    for number, block in enumerate(found):
        (project_folder / f"{number}.yaml").write_text(block)
        load_spec(project_folder / f"{number}.yaml")


def test_commands_in_the_readme_are_those_of_the_command_line():
    commands = re.findall(r"(?:^\$ |`)(?:\.venv/bin/)?emms ([a-z]+)((?:[^`\n]|\\\n)*)", README, re.MULTILINE)
    assert commands
    known = {command.callback.__name__: command for command in app.registered_commands if command.callback}
    for name, arguments in commands:
        assert name in known, name
        for option in re.findall(r"(--[a-z-]+)", arguments):
            parameter = option.removeprefix("--").replace("-", "_")
            assert parameter in known[name].callback.__annotations__, (name, option)
