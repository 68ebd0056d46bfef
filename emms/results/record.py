"""Parts of run.json: what was computed or found in the store, and the versions of packages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("emms", "torch", "timm", "transformers", "numpy", "scipy", "scikit-learn", "polars", "pyarrow", "prefect")


def provenance(names: Iterable[str], computed: Collection[str] | None) -> dict[str, list[str]]:
    """Return which of these artifacts were computed, and which were found in the store."""
    all_names, computed_names = list(names), set(computed or ())
    return {
        "computed": [name for name in all_names if name in computed_names],
        "from store": [name for name in all_names if name not in computed_names],
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages on which results may depend."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
