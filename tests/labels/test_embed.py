"""Label embeddings in the store."""

import numpy as np
import pytest

from emms.errors import DamagedError, LabelEncoderError, StoreError
from emms.labels.base import LabelEncoder
from emms.labels.embed import embed_labels, labels_key, read_label_embeddings
from emms.store import Store

TEXTS = ["a photo of a cat", "a photo of a dog"]


class Letters(LabelEncoder):
    """Embeds a text as the counts of the letters of `name`; counts its calls."""

    asked = 0

    def reference(self, digests):
        return {"letters": self.name}

    def encode(self, texts, device="cpu"):
        self.asked += 1
        return np.array([[text.count(letter) for letter in self.name] for text in texts], dtype=np.float32)


class Broken(Letters):
    def __init__(self, embeddings):
        super().__init__("broken")
        self.embeddings = embeddings

    def encode(self, texts, device="cpu"):
        return np.array(self.embeddings)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def test_embeddings_are_written_and_read_back(store):
    encoder = Letters("acd")
    key = labels_key(encoder, TEXTS, store)
    assert store.find(key) is None
    assert encoder.asked == 0
    embed_labels(encoder, TEXTS, store, key, classes=True)
    assert store.find(key) is not None
    assert encoder.asked == 1
    embeddings = read_label_embeddings(store, key)
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, encoder.encode(TEXTS))
    assert not embeddings.flags.owndata


def test_the_table_says_which_text_is_which(store):
    key = labels_key(Letters("acd"), TEXTS, store)
    embed_labels(Letters("acd"), TEXTS, store, key, classes=True)
    table = store.find(key).table("label_embeddings.parquet")
    assert table["text"].to_pylist() == TEXTS
    assert str(table["embedding"].type).startswith("fixed_size_list")
    assert table["embedding"][1].as_py() == [2.0, 0.0, 1.0]


def test_the_key_is_that_of_encoder_and_texts_in_their_order(store):
    key = labels_key(Letters("acd"), TEXTS, store)
    assert labels_key(Letters("acd"), list(TEXTS), store) == key
    assert labels_key(Letters("acg"), TEXTS, store) != key
    assert labels_key(Letters("acd"), TEXTS[::-1], store) != key
    assert labels_key(Letters("acd"), ["".join(TEXTS)], store) != key


def test_a_flipped_byte_is_detected_on_reading(store, tmp_path):
    encoder = Letters("acd")
    key = labels_key(encoder, TEXTS, store)
    embed_labels(encoder, TEXTS, store, key, classes=True)
    (file,) = tmp_path.rglob("label_embeddings-*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError, match="damaged"):
        read_label_embeddings(store, key)
    with pytest.raises(StoreError, match="were removed from store"):
        read_label_embeddings(store, key)
    embed_labels(encoder, TEXTS, store, key, classes=True)
    np.testing.assert_array_equal(read_label_embeddings(store, key), encoder.encode(TEXTS))


def test_a_text_without_a_finite_embedding_is_named(store):
    encoder = Broken([[1.0, 2.0], [np.nan, 1.0]])
    key = labels_key(encoder, TEXTS, store)
    with pytest.raises(LabelEncoderError, match="nan or infinity for 1 of 2 texts, the first 'a photo of a dog'"):
        embed_labels(encoder, TEXTS, store, key, classes=True)
    assert store.find(key) is None


@pytest.mark.parametrize("embeddings", [[[1.0, 2.0]], [1.0, 2.0]])
def test_a_wrong_number_of_embeddings_raises(store, embeddings):
    encoder = Broken(embeddings)
    with pytest.raises(LabelEncoderError, match="for 2 texts"):
        embed_labels(encoder, TEXTS, store, labels_key(encoder, TEXTS, store), classes=True)


class Careless(LabelEncoder):
    """An encoder that ignores case, and whose rounding differs between calls."""

    def reference(self, digests):
        return {"encoder": "careless"}

    def encode(self, texts, device="cpu"):
        rng = np.random.default_rng(0)
        vectors = {text: rng.standard_normal(8) for text in sorted({text.lower() for text in texts})}
        rows = [vectors[text.lower()] * (1 + 1e-7 * rng.standard_normal()) for text in texts]
        return np.array(rows, dtype=np.float32)


def test_classes_that_an_encoder_cannot_tell_apart_are_named(tmp_path):
    store, encoder = Store(str(tmp_path)), Careless("careless")
    texts = ["dog", "cat", "bird", "Cat"]
    with pytest.raises(LabelEncoderError, match="cannot tell 'Cat' from 'cat'"):
        embed_labels(encoder, texts, store, labels_key(encoder, texts, store), classes=True)
    same = ["dog", "cat", "cat"]  # equal texts are one label
    embed_labels(encoder, same, store, labels_key(encoder, same, store), classes=True)
    # If each sample has its own label, several can have the same embedding.
    embed_labels(encoder, texts, store, labels_key(encoder, texts, store), classes=False)
