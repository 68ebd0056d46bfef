"""What run.json says: what was run, with which versions, how long it took, what was computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("emms", "torch", "timm", "transformers", "numpy", "scipy", "scikit-learn", "polars", "pyarrow", "prefect")


def provenance(names: Iterable[str], computed: Collection[str] | None) -> dict[str, list[str]]:
    """Return which of these artifacts were computed, and which were in the store."""
    named, made = list(names), set(computed or ())
    return {
        "computed": [name for name in named if name in made],
        "from store": [name for name in named if name not in made],
    }


def versions() -> dict[str, str]:
    """Return the version of every package that results may depend on, as far as it is installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
