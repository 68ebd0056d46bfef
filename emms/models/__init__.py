"""Candidate networks: from a name to features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emms.errors import ModelError
from emms.models.base import Candidate
from emms.registry import Registry

if TYPE_CHECKING:
    from emms.spec import ModelSpec
    from emms.store import Store

SOURCES: Registry[type[Candidate]] = Registry(
    "source of networks",
    "emms.models",
    Candidate,
    {
        "timm": "emms.models.timm_network:TimmNetwork",
        "packaged": "emms.models.packaged:PackagedNetwork",
        "features": "emms.models.own_features:OwnFeatures",
        "hf": "emms.models.transformers_sources:HubNetwork",
        "folder": "emms.models.transformers_sources:FolderNetwork",
    },
    ModelError,
)


def candidate(spec: ModelSpec, store: Store | None = None, inputs: frozenset[str] | None = None) -> Candidate:
    """Return the candidate for a model spec.

    store: caches digests of its files. inputs: the fields of a sample; None: those that the network needs.

    Raises ModelError if the source is unknown.
    """
    return SOURCES.get(spec.source).create(spec, store, inputs)


__all__ = ["SOURCES", "Candidate", "candidate"]
