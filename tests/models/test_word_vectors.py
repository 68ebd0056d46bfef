"""Static word vectors as a network, compared with means computed one text at a time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from emms import text_packages
from emms.downstream.text_classification import TextSample
from emms.errors import ModelError
from emms.models import candidate
from emms.spec import ModelSpec
from emms.store.digests import sha256_of

TEXTS = [("A cat; a dog!", ""), ("", ""), ("polar", "bear, POLAR bear"), ("qqqzzz", ""), ("the " * 40, "cat")]
SAMPLES = [TextSample(str(i), *texts) for i, texts in enumerate(TEXTS)]
BOTH = frozenset({"text", "context"})


def glove(inputs=BOTH, **options):
    return candidate(ModelSpec(source="packaged", name="glove-6b-50d", **options), inputs=inputs)


def features(network) -> np.ndarray:
    forward = network.load(torch.device("cpu"))
    return forward([network.prepare(sample) for sample in SAMPLES], network.views())[0].numpy()


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    matrix, index = text_packages.PACKAGES["glove-6b-50d"].paths()
    words = pl.read_parquet(index).to_series(0).to_list()
    return dict(zip(words, np.load(matrix, mmap_mode="r"), strict=True))


def test_features_are_the_mean_of_the_vectors_of_known_words(vectors):
    words = [["a", "cat", "a", "dog"], [], ["polar", "bear", "polar", "bear"], [], ["the"] * 40 + ["cat"]]
    expected = [np.mean([vectors[word] for word in some], axis=0) if some else np.zeros(50) for some in words]
    network = glove()
    network.check()
    assert network.size() == (50, 50 * len(vectors), None)
    np.testing.assert_allclose(features(network), expected, rtol=1e-5, atol=1e-6)


def test_without_a_context_only_the_text_is_read(vectors):
    network = glove(frozenset({"text", "image"}))
    assert network.reads == {"text"}
    np.testing.assert_allclose(features(network)[2], vectors["polar"], rtol=1e-6)
    assert network.sharing() != glove().sharing()


def test_an_untrained_copy_has_random_vectors_of_its_seed():
    def digests(paths):
        return [sha256_of(path) for path in paths]

    first, again, other = (glove(pretrained=False, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(features(first), features(again))
    assert not np.allclose(features(first)[0], features(other)[0])
    keys = [network.network(digests) for network in (first, again, other, glove())]
    assert keys[0] == keys[1]
    assert len({str(key) for key in keys}) == 3
    first.promised = keys[2]
    with pytest.raises(ModelError, match="has changed during the run"):
        first.load(torch.device("cpu"))


def test_options_of_other_networks_are_refused():
    for options in ({"layer": "2"}, {"pool": "token"}, {"windows": "answer"}, {"features": "encoder"}):
        (name,) = options
        with pytest.raises(ModelError, match=f"no layers, so `{name}:` does not apply"):
            glove(**options).check()
