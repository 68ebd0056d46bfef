"""Where things are: who may know a downstream task, and what is in the root of the package."""

from __future__ import annotations

from pathlib import Path

import emms
from emms.downstream import DOWNSTREAM

ROOT = Path(emms.__file__).parent
ROOMS = {"downstream", "datasets", "models", "labels"}


def test_only_the_rooms_of_tasks_datasets_networks_and_label_texts_name_a_task():
    names = [form for name in DOWNSTREAM.names() for form in (name, name.replace("-", "_"))]
    knowing = {
        path.relative_to(ROOT).parts[0]
        for folder in (ROOT, ROOT.parent / "tasks", ROOT.parent / "flows")
        for path in folder.rglob("*.py")
        if any(name in path.read_text() for name in names)
        if path.is_relative_to(ROOT)
    }
    assert knowing <= ROOMS


def test_at_the_root_is_only_what_everything_stands_on():
    assert {path.stem for path in ROOT.glob("*.py")} == {
        "__init__",
        "errors",
        "hardware",
        "hub",
        "paths",
        "progress",
        "registry",
        "user_cache",
    }
