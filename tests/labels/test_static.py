"""Label embeddings from static word vectors."""

import numpy as np
import polars as pl
import pytest

from emms.errors import LabelEncoderError
from emms.labels.static import StaticVectors
from emms.store import Store
from emms.store.digests import FileDigests
from emms.word_vectors import words_of

WORDS = ["a", "photo", "of", "cat", "dog", "house", "polar", "bear", "3"]


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)


@pytest.fixture
def files(tmp_path, vectors):
    np.save(tmp_path / "matrix.npy", vectors)
    pl.DataFrame({"word": WORDS}).write_parquet(tmp_path / "index.parquet")
    return tmp_path / "matrix.npy", tmp_path / "index.parquet"


@pytest.fixture
def encoder(files):
    return StaticVectors("glove", *files)


def test_a_text_is_the_mean_of_its_known_words(encoder, vectors):
    row = dict(zip(WORDS, vectors, strict=True))
    texts = ["A photo of a cat.", "polar-bear, unheard", "3"]
    expected = [
        (2 * row["a"] + row["photo"] + row["of"] + row["cat"]) / 5,
        (row["polar"] + row["bear"]) / 2,
        row["3"],
    ]
    embeddings = encoder.encode(texts)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, rtol=1e-6)


def test_words_are_runs_of_letters_and_digits_in_lower_case():
    assert words_of("A T-shirt/top, 3_D; Größe!") == ["a", "t", "shirt", "top", "3", "d", "größe"]
    assert words_of(" ... ") == []


def test_the_embedding_of_a_text_does_not_depend_on_other_texts(encoder):
    texts = ["a photo of a cat", "a photo of a dog", "a photo of a polar bear"]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode(texts), alone)


@pytest.mark.parametrize("texts", [["cat", "zxqw"], ["cat", "..."], ["zxqw"]])
def test_a_text_without_a_known_word_is_named(encoder, texts):
    with pytest.raises(LabelEncoderError, match=f"knows none of the words of '{texts[-1]}'"):
        encoder.encode(texts)


def test_a_label_with_known_words_of_the_template_alone_is_unknown(encoder):
    texts = ["a photo of a cat", "a photo of a zxqw", "a photo of a dog"]
    np.testing.assert_array_equal(encoder.known(texts), [True, False, True])
    assert encoder.why_unknown(texts[1]).startswith("unknown: zxqw; ")
    np.testing.assert_array_equal(encoder.known(["zxqw", "..."]), [False, False])
    assert "it has no words" in encoder.why_unknown("...")


def test_a_label_that_is_a_word_of_the_template_is_known(encoder):
    np.testing.assert_array_equal(encoder.known(["a photo of a cat", "a photo of a photo"]), [True, True])


def test_a_single_text_has_no_template(encoder):
    np.testing.assert_array_equal(encoder.known(["a photo"]), [True])


def test_unknown_words_explain_equal_embeddings(encoder):
    _, first, second = encoder.encode(["a cat", "a fluffy dog", "a scruffy dog"])
    np.testing.assert_array_equal(first, second)
    assert r"(unknown words: fluffy, scruffy)" in encoder.why_alike("a fluffy dog", "a scruffy dog")
    first, _, second = encoder.encode(["dog house", "cat", "house dog"])
    np.testing.assert_array_equal(first, second)
    assert "unknown words: none" in encoder.why_alike("dog house", "house dog")


def test_repeated_texts_are_allowed(encoder):
    first, second = encoder.encode(["a cat", "a cat"])
    np.testing.assert_array_equal(first, second)


def test_the_reference_is_that_of_the_files_contents(encoder, files, tmp_path):
    digests = FileDigests(Store(str(tmp_path / "store")))
    before = encoder.reference(digests)
    np.save(files[0], np.zeros((len(WORDS), 4), np.float32))
    assert encoder.reference(digests) != before


def test_invalid_files_raise(encoder, files, tmp_path):
    digests = FileDigests(Store(str(tmp_path / "store")))
    np.save(files[0], np.zeros((2, 4), np.float32))
    with pytest.raises(LabelEncoderError, match=r"9 words do not match a matrix of shape \(2, 4\)"):
        encoder.encode(["cat"])
    np.save(files[0], np.array([{}] * len(WORDS)), allow_pickle=True)
    with pytest.raises(LabelEncoderError, match="cannot be read"):
        encoder.encode(["cat"])
    files[0].unlink()
    with pytest.raises(LabelEncoderError, match="cannot be read"):
        encoder.encode(["cat"])
    with pytest.raises(LabelEncoderError, match="cannot be read"):
        encoder.reference(digests)
