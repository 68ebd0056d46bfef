"""What run.json says: what was run, with which versions, how long it took, what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from emms.run.references import Outcome
from emms.run.scoring import are_kept
from emms.spec import Spec

VERSIONS = ("emms", "torch", "timm", "transformers", "numpy", "scipy", "scikit-learn", "polars", "pyarrow", "prefect")


def describe_run(spec: Spec, outcome: Outcome) -> dict[str, Any]:
    """Return spec, versions, fingerprints, times, and what was computed and what came from the store, as JSON."""
    return {
        "spec": spec.model_dump(mode="json"),
        "versions": _versions(),
        "dataset": outcome.dataset.model_dump(mode="json", exclude={"key"}),
        "weights": {e.model.id: e.key["network"] for e in outcome.extracted},
        "seconds": {stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        "label embeddings": _provenance([(e.encoder.id, e.computed) for e in outcome.embedded]),
        "features": _provenance([(e.model.id, e.computed) for e in outcome.extracted if not e.failure]),
        "moments": _provenance(
            [
                (f"{m.features.model.id} in {m.folds} {'folds' if m.folds > 1 else 'piece'}", m.computed)
                for m in outcome.moments
                if are_kept(m.features, outcome.dataset, m.folds)
            ]
        ),
        "scores": _provenance([(f"{s.model.id} by {s.estimator.id}", s.computed) for s in outcome.scored]),
    }


def _provenance(artifacts: Sequence[tuple[str, bool]]) -> dict[str, list[str]]:
    return {
        "computed": [name for name, computed in artifacts if computed],
        "from store": [name for name, computed in artifacts if not computed],
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
