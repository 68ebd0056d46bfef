"""Classes from other packages are found by name, and do not affect others if they are broken."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from typing import ClassVar

import pytest

from emms.datasets import FORMATS
from emms.errors import DatasetError, EstimatorError
from emms.estimators import ESTIMATORS
from emms.labels import ENCODERS
from emms.models import SOURCES
from emms.registry import Registry


class Shape(ABC):
    colour: ClassVar[str]
    size: ClassVar[int] = 1

    @abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    colour = "red"

    def area(self) -> float:
        return 1.0


SHAPES: Registry[type[Shape]] = Registry("shape", "test.shapes", Shape, {"square": f"{__name__}:Square"}, DatasetError)

SHAPE = f"from {__name__} import Shape, Square\n"
CIRCLE = SHAPE + "class Circle(Square): pass\n"

BROKEN = {
    "raises": ("1 / 0", r"'raises' cannot be loaded \(ZeroDivisionError: division by zero\)"),
    "leaves": ("import sys; sys.exit(3)", r"cannot be loaded \(SystemExit: 3\)"),
    "unfinished": ("class It(", r"cannot be loaded \(SyntaxError: "),
    "lacks": (
        "import none_such_package",
        r"cannot be loaded \(ModuleNotFoundError: No module named 'none_such_package'",
    ),
    "elsewhere": ("", r"cannot be loaded \(AttributeError: module 'elsewhere' has no attribute 'It'\)"),
    "other": ("class It: pass", r"'other' is not a subclass of .*\bShape"),
    "function": ("def It(): pass", r"'function' is not a subclass"),
    "abstract": (SHAPE + "class It(Shape): pass", r"'abstract' does not define area, colour"),
    "colourless": (SHAPE + "class It(Shape):\n    def area(self): return 1.0", r"'colourless' does not define colour"),
    "escapes": (r"raise ValueError('\x1b[31m' + 'x' * 1000)", r"\(ValueError: \\x1b\[31mx+ … x+\)"),
}


@pytest.fixture
def installed(install):
    """Install a valid package and several broken ones."""
    install("circles", "[test.shapes]\ncircle = circles:Circle\n", circles=CIRCLE)
    for name, (source, _) in BROKEN.items():
        install(name, f"[test.shapes]\n{name} = {name}:It\n", **{name: source})


def test_built_in_names_come_first_in_their_own_order(installed):
    assert SHAPES.names() == ["square", *sorted(["circle", *BROKEN])]
    assert SHAPES.get("square") is Square
    assert issubclass(SHAPES.get("circle"), Square)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_class_is_named_with_its_package_and_the_reason(installed, name):
    with pytest.raises(DatasetError, match=BROKEN[name][1]) as refused:
        SHAPES.get(name)
    assert f"package {name} 1.0 (entry point {name} = {name}:It); fix or uninstall that package" in str(refused.value)
    assert len(str(refused.value)) < 500


def test_iteration_skips_broken_classes_and_broken_lists_them(installed):
    assert [name for name, _ in SHAPES] == ["square", "circle"]
    errors = SHAPES.broken()
    assert [isinstance(error, DatasetError) for error in errors] == [True] * len(BROKEN)
    for name, error in zip(sorted(BROKEN), errors, strict=True):
        assert f"shape '{name}'" in str(error)


def test_a_package_that_has_been_fixed_works_without_a_restart(install, site_packages):
    install("later", "[test.shapes]\nlater = later:It\n", later="raise RuntimeError")
    assert len(SHAPES.broken()) == 1
    (site_packages / "later.py").write_text(SHAPE + "class It(Square): 'now with more bytes'\n")
    assert SHAPES.broken() == []
    assert issubclass(SHAPES.get("later"), Shape)


def test_an_unknown_name_suggests_similar_ones(installed):
    with pytest.raises(DatasetError, match=r"shape 'sqare' is unknown; did you mean 'square'\? \(known: square, "):
        SHAPES.get("sqare")
    with pytest.raises(DatasetError, match=r"shape '\\x1b' is unknown"):
        SHAPES.get("\x1b")


def test_two_packages_that_add_the_same_name_are_both_named(install):
    install("one", "[test.shapes]\ncircle = one:Circle\n", one=CIRCLE)
    install("two", "[test.shapes]\ncircle = two:Circle\n", two=CIRCLE)
    said = (
        r"shape 'circle' is added by 2 packages: package one 1.0 \(entry point circle = one:Circle\); "
        r"package two 1.0 \(entry point circle = two:Circle\); uninstall all but one"
    )
    with pytest.raises(DatasetError, match=said):
        SHAPES.get("circle")
    assert [name for name, _ in SHAPES] == ["square"]
    assert len(SHAPES.broken()) == 1


def test_replacing_a_built_in_class_is_reported(install):
    install("circles", "[test.shapes]\nsquare = circles:Circle\n", circles=CIRCLE)
    assert SHAPES.names() == ["square"]
    assert SHAPES.get("square") is Square
    (error,) = SHAPES.broken()
    assert "shape 'square' is built into emms and cannot be replaced by package circles 1.0" in str(error)


def test_a_built_in_class_that_cannot_be_imported_is_reported():
    shapes: Registry[type[Shape]] = Registry("shape", "test.shapes", Shape, {"square": "none_such:Square"})
    with pytest.raises(Exception, match=r"No module named 'none_such'\) from emms itself; reinstall emms"):
        shapes.get("square")


def test_a_package_with_damaged_metadata_is_still_reported(install, site_packages):
    install("nameless", "[test.shapes]\nbad = nameless:It\n", nameless="1 / 0")
    (site_packages / "nameless-1.0.dist-info" / "METADATA").unlink()
    with pytest.raises(DatasetError, match=r"from (a package|package .*)entry point bad = nameless:It\)"):
        SHAPES.get("bad")


@pytest.mark.parametrize("registry", [FORMATS, SOURCES, ENCODERS, ESTIMATORS], ids=lambda r: r.group)
def test_each_registry_lists_the_rest_and_names_the_broken_one(install, registry):
    before = [name for name, _ in registry]
    assert before == registry.names()
    assert registry.broken() == []
    install("broken", f"[{registry.group}]\nbroken = broken:It\n", broken="raise ImportError('no such thing')")
    assert [name for name, _ in registry] == before
    (error,) = registry.broken()
    assert str(error).startswith(f"{registry.kind} 'broken' cannot be loaded (ImportError: no such thing)")


def test_an_estimator_of_another_package_is_listed(install):
    source = "from emms.estimators.base import MomentEstimator\nclass It(MomentEstimator): name = 'it'"
    install("it", "[emms.estimators]\nit = it:It\n", it=source)
    with pytest.raises(EstimatorError, match=r"'it' does not define .*cost, .*needs, paper, summary"):
        ESTIMATORS.get("it")


PLUGIN = """
{imports}
class Tiny(Dataset):
    format: Literal["tiny"] = "tiny"
    def listing(self): raise NotImplementedError
    def load(self, record): raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("first", "imports"),
    [
        ("tiny", "from emms.spec import Spec, ModelSpec\nfrom emms.datasets import FORMATS, Dataset"),
        ("tiny", "from emms.models.base import Candidate\nfrom emms.datasets import Dataset\nimport emms.run.walk"),
        ("emms.spec", "import emms\nemms.Spec, emms.EMMS, emms.Ranking\nfrom emms.datasets.base import Dataset"),
        ("emms.models.base", "from emms.datasets.base import Dataset\nimport emms.spec"),
    ],
)
def test_a_plug_in_may_import_any_of_emms_and_be_imported_first_or_last(install, site_packages, first, imports):
    source = PLUGIN.format(imports=f"from typing import Literal\n{imports}")
    install("tiny", "[emms.datasets]\ntiny = tiny:Tiny\n", tiny=source)
    script = f"""
import {first}
from emms.spec import Spec
spec = Spec.model_validate({{"dataset": {{"format": "tiny"}}, "models": ["timm:resnet18"]}})
assert "Tiny" in Spec.model_json_schema()["$defs"]
import tiny
assert type(spec.dataset) is tiny.Tiny
"""
    subprocess.run([sys.executable, "-c", script], cwd=site_packages, check=True, timeout=120)
