"""Pictures of scenes show what the scene graph says: checked from the pixels."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scene_pictures import box, draw_picture
from tests.datasets.scene_truth import seen


def picture(seed: int, index: int = 0):
    return draw_picture(draw_scene(random_numbers(seed, index, 0)), random_numbers(seed, index, 1))


@given(st.integers(0, 2**32 - 1))
def test_objects_are_seen_where_they_are_said_to_be(seed):
    scene = draw_scene(random_numbers(seed, 0, 0))
    objects = seen(picture(seed))
    assert len(objects) == len(scene.things)
    for thing in scene.things:
        (found,) = [one for one in objects if one.cell == (thing.row, thing.column)]
        assert (found.colour, found.size) == (thing.colour, thing.size)
        np.testing.assert_allclose(box(thing), found.box, atol=2)


def test_the_background_is_neither_plain_nor_colourful():
    pixels = np.asarray(picture(3)).astype(int)
    edge = np.concatenate([pixels[:2].reshape(-1, 3), pixels[-2:].reshape(-1, 3)])  # no object reaches it
    assert edge.std(0).min() > 3
    assert np.ptp(edge.mean(0)) < 25


def test_same_seed_same_pixels():
    """The digest is the same on every machine; if you change pictures, raise `VERSION` of emms/datasets/scenes.py."""
    pixels = b"".join(picture(7, index).tobytes() for index in range(20))
    assert hashlib.sha256(pixels).hexdigest() == "90b4f50f88382aca2b192bd9e75688c473998b9afd80e4152abd2b60e739db25"
    assert picture(7, 1).tobytes() not in {picture(7, 2).tobytes(), picture(8, 1).tobytes()}
