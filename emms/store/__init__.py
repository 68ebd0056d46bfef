"""Content-addressed artifacts on any fsspec file system, and digests of local files."""

from emms.store.artifact import Artifact, Draft
from emms.store.keys import Key, Meta, digest
from emms.store.store import Store

__all__ = ["Artifact", "Draft", "Key", "Meta", "Store", "digest"]
