"""The numeric encoder for boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.downstream.boxes import Box, box_label
from emms.errors import LabelEncoderError
from emms.labels import ENCODERS
from emms.labels.boxes import BoxEncoder, centres_and_sizes

BOXES = (
    st.tuples(*[st.integers(0, 999)] * 4)
    .map(lambda n: Box(*sorted(n[:2]), *sorted(n[2:])))
    .map(lambda b: Box(b[0], b[2], b[1], b[3]))
)


def test_it_is_the_fourier_features_of_centre_and_size():
    embedding = ENCODERS.get("boxes")("fourier").encode(["the dog [100, 200, 300, 800]"])[0]
    expected = [
        wave(f * np.pi * value) for value in (0.2005, 0.5005, 0.2, 0.6) for f in (1, 2, 4) for wave in (np.sin, np.cos)
    ]
    np.testing.assert_allclose(embedding, expected, atol=1e-6)


@given(box=BOXES, expression=st.text())
def test_the_box_can_be_read_back(box, expression):
    embedding = BoxEncoder("fourier").encode([box_label(expression, box)])[0].reshape(4, 3, 2)
    found = np.arctan2(embedding[:, 0, 0], embedding[:, 0, 1]) / np.pi
    np.testing.assert_allclose(found, centres_and_sizes([box])[0], atol=1e-5)


def test_near_boxes_have_near_embeddings():
    one, near, far = BoxEncoder("fourier").encode([f"[{x}, 100, {x + 200}, 500]" for x in (100, 120, 500)])
    assert np.linalg.norm(one - near) < np.linalg.norm(one - far) / 4


def test_a_text_without_a_box_raises():
    with pytest.raises(LabelEncoderError, match=r"no box such as .* in the text 'the dog'; .*\{box\} or \{label\}"):
        BoxEncoder("fourier").encode(["[1, 2, 3, 4]", "the dog"])


def test_another_name_raises():
    with pytest.raises(LabelEncoderError, match="'boxes:fourrier' is unknown; did you mean 'fourier'"):
        BoxEncoder("fourrier")


def test_the_reference_needs_no_files():
    assert BoxEncoder("fourier").reference(lambda paths: [])["name"] == "fourier"
