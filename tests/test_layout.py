"""Layout of the package: which modules may depend on a downstream task, and which are at its root."""

from __future__ import annotations

from pathlib import Path

import emms
from emms.downstream import DOWNSTREAM

ROOT = Path(emms.__file__).parent
ROOMS = {"emms/downstream", "emms/datasets", "emms/models", "emms/labels"}
DEMOS = {"flows/demo.py"}  # a spec per task, as data


def test_only_allowed_packages_name_a_downstream_task():
    names = [form for name in DOWNSTREAM.names() for form in (name, name.replace("-", "_"))]
    knowing = {
        "/".join(path.relative_to(ROOT.parent).parts[:2])
        for folder in ("emms", "tasks", "flows")
        for path in (ROOT.parent / folder).rglob("*.py")
        if any(name in path.read_text() for name in names)
    }
    assert knowing <= ROOMS | DEMOS


def test_modules_at_the_root_of_the_package():
    assert {path.stem for path in ROOT.glob("*.py")} == {
        "__init__",
        "errors",
        "hardware",
        "hub",
        "paths",
        "files",
        "pretrained",
        "progress",
        "registry",
        "text_packages",
        "user_cache",
        "word_vectors",
    }
