"""Content-addressed artifacts on any fsspec file system, digests of files, and folders that are only tried."""

from emms.store.artifacts import MANIFEST, Artifact, Draft, Key, Store, address, open_store

__all__ = ["MANIFEST", "Artifact", "Draft", "Key", "Store", "address", "open_store"]
