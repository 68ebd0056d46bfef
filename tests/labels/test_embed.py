"""Label embeddings in the store."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emms.errors import DamagedError, LabelEncoderError, StoreError
from emms.labels.base import LabelEncoder
from emms.labels.embed import embed_labels, labels_key
from emms.labels.stored import read_label_embeddings
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


class Words(Letters):
    """Knows the texts that contain one of its letters; records what it is asked for."""

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def known(self, texts):
        return np.array([any(letter in text for letter in self.name) for text in texts])

    def encode(self, texts, device="cpu"):
        self.calls.append(list(texts))
        self.truncated += sum(len(text) > 20 for text in texts)
        return super().encode(texts, device)


def embedded(store, encoder, texts, classes=False):
    key = labels_key(encoder, texts, store)
    embed_labels(encoder, texts, store, key, classes=classes)
    return read_label_embeddings(store, key), store.find(key).meta


def test_each_different_line_is_embedded_once_in_windows_of_bounded_size(store, monkeypatch):
    monkeypatch.setattr("emms.labels.embed.WINDOW", 3)
    monkeypatch.setattr("emms.moments.rows.BLOCK_ROWS", 2)
    texts = ["a", "b", "a", "ab\na", "aab", "b\nb\naaa", "ba", "a"]
    encoder = Words("ab")
    found, meta = embedded(store, encoder, texts)
    assert encoder.calls == [["a", "b", "ab"], ["aab", "aaa", "ba"]]
    means = [np.mean([[line.count("a"), line.count("b")] for line in text.split("\n")], axis=0) for text in texts]
    np.testing.assert_allclose(found, means, rtol=1e-6)
    assert (meta.texts, meta.lines, meta.truncated, meta.unknown) == (8, 6, 0, 0)
    assert meta.notes() == []


@settings(max_examples=30)
@given(texts=st.lists(st.text("ab\n", min_size=1).filter(str.strip), min_size=1, max_size=20))
def test_a_text_of_several_lines_is_their_mean(tmp_path_factory, texts):
    store = Store(str(tmp_path_factory.mktemp("store")))
    found, _ = embedded(store, Words("ab"), texts)
    lines = [[line for line in text.split("\n") if line] for text in texts]
    means = [np.mean([[line.count("a"), line.count("b")] for line in own], axis=0) for own in lines]
    np.testing.assert_allclose(found, means, rtol=1e-6)


def test_one_caption_of_unknown_words_does_not_end_the_run(store):
    texts = ["a", "zz", "ab", "zz\nb", "zz"]
    found, meta = embedded(store, Words("ab"), texts)
    np.testing.assert_allclose(found, [[1, 0], [2 / 3, 2 / 3], [1, 1], [0, 1], [2 / 3, 2 / 3]], rtol=1e-6)
    assert meta.unknown == 2
    (note,) = meta.notes()
    assert "'ab' knows none of the words of 2 of 5 labels, which have the mean embedding" in note


def test_classes_of_unknown_words_and_captions_without_any_known_word_raise(store):
    with pytest.raises(LabelEncoderError, match=r"none of the words of 'zz' \(and of 'y'\): use another encoder"):
        embedded(store, Words("ab"), ["a", "zz", "y"], classes=True)
    with pytest.raises(LabelEncoderError, match="none of the words of 'zz'"):
        embedded(store, Words("ab"), ["zz", "y"])


def test_texts_that_were_cut_off_are_counted(store):
    _, meta = embedded(store, Words("ab"), ["a" * 30, "b" * 21, "a" * 30, "ab"])
    assert meta.truncated == 2
    assert "'ab' has cut off 2 of 3 label texts" in meta.notes()[0]


@pytest.mark.parametrize("empty", ["", "  ", "\n\n"])
def test_an_empty_text_raises(store, empty):
    with pytest.raises(LabelEncoderError, match="label number 2 of 3 is empty"):
        embedded(store, Words("ab"), ["a", empty, "b"])


class Growing(Letters):
    def encode(self, texts, device="cpu"):
        self.asked += 1
        return np.ones((len(texts), self.asked))


def test_the_width_must_not_change(store, monkeypatch):
    monkeypatch.setattr("emms.labels.embed.WINDOW", 1)
    with pytest.raises(LabelEncoderError, match=r"\(1, 2\) for 1 texts; .*always of the same width"):
        embedded(store, Growing("g"), ["a", "b"])


def test_classes_that_an_encoder_cannot_tell_apart_are_named(tmp_path):
    store, encoder = Store(str(tmp_path)), Careless("careless")
    texts = ["dog", "cat", "bird", "Cat"]
    with pytest.raises(LabelEncoderError, match="cannot tell 'Cat' from 'cat'"):
        embed_labels(encoder, texts, store, labels_key(encoder, texts, store), classes=True)
    same = ["dog", "cat", "cat"]  # equal texts are one label
    embed_labels(encoder, same, store, labels_key(encoder, same, store), classes=True)
    # If each sample has its own label, several can have the same embedding.
    embed_labels(encoder, texts, store, labels_key(encoder, texts, store), classes=False)
