"""Label embeddings are read into memory, or into a temporary file, with the same numbers."""

import numpy as np
import pytest

from emms.errors import DamagedError, StoreError
from emms.labels.base import LabelEncoder
from emms.labels.embed import embed_labels, labels_key
from emms.labels.stored import label_embeddings
from emms.moments.rows import RowFile
from emms.store import Store

TEXTS = [f"{i:03}" for i in range(700)]


class Random(LabelEncoder):
    """Random embeddings; `name` is their width."""

    def reference(self, digests):
        return {"random": self.name}

    def encode(self, texts, device="cpu"):
        return np.stack([np.random.default_rng(int(text)).standard_normal(int(self.name)) for text in texts])


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return Store(str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}")


@pytest.fixture
def keys(store, monkeypatch):
    monkeypatch.setattr("emms.moments.rows.BLOCK_ROWS", 256)
    encoders = [Random("12"), Random("5")]
    keys = [labels_key(encoder, TEXTS, store) for encoder in encoders]
    for encoder, key in zip(encoders, keys, strict=True):
        embed_labels(encoder, TEXTS, store, key, classes=False)
    return keys


def test_large_embeddings_are_in_a_file(store, keys, monkeypatch):
    counts = np.random.default_rng(0).integers(1, 4, size=700)
    small = label_embeddings(store, keys, counts, classes=False)
    assert isinstance(small, np.ndarray)
    monkeypatch.setattr("emms.labels.stored.IN_MEMORY", 4 * 700 * 17 - 1)
    large = label_embeddings(store, keys, counts, classes=False)
    assert isinstance(large, RowFile)
    np.testing.assert_array_equal(large[:], small)
    assert isinstance(label_embeddings(store, keys, counts, classes=True), np.ndarray)


def test_damaged_embeddings_raise_and_count_as_absent(store, keys):
    (entry,) = store.find(keys[1]).files.values()
    path = f"{store.path(keys[1])}/{entry.file}"
    content = bytearray(store.fs.cat_file(path))
    content[len(content) // 2] ^= 1
    store.fs.pipe_file(path, bytes(content))
    with pytest.raises(DamagedError, match="damaged"):
        label_embeddings(store, keys, np.ones(700), classes=False)
    with pytest.raises(StoreError, match="were removed from store"):
        label_embeddings(store, keys, np.ones(700), classes=False)
