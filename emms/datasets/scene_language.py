"""What can be said about the picture of a scene: captions, questions with answers, referring expressions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emms.datasets.scene_graph import CELLS, Scene, Thing, pick, sample
from emms.datasets.scene_words import COLOURS, CORNERS, NUMBERS, SHAPES

_LOOKS = (
    *(("shape",), ("colour", "shape"), ("size", "shape"), ("size", "colour", "shape")),
    *(("colour",), ("size",), ("size", "colour")),
)
"""The attributes that a description may name, in the order of their words."""
_RELATIONS: dict[str, Callable[[Thing, Thing], bool]] = {
    "to the left of": lambda one, other: one.column < other.column,
    "to the right of": lambda one, other: one.column > other.column,
    "above": lambda one, other: one.row < other.row,
    "below": lambda one, other: one.row > other.row,
}
_ENDS: dict[str, Callable[[Thing], int]] = {
    "leftmost": lambda thing: thing.column,
    "rightmost": lambda thing: -thing.column,
    "topmost": lambda thing: thing.row,
    "lowest": lambda thing: -thing.row,
}
_CAPTIONS = (
    "a {0} with a {1} {relation} it",
    "a {0} in the {corner} of the picture and a {1}",
    "a {0} {relation} a {1}",
    "a {0}, a {1} and a {2}",
    "a picture of a {0}, and a {2} {relation2} a {1}",
    "{count} shapes, among them a {0} and a {1}",
    "the largest shape is a {0} in the {corner}; there are also a {1} and a {2}",
)


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Return a caption that names the largest object and one or two others."""
    main, one, other = scene.things[0], *sample(rng, scene.things[1:], 2)
    return pick(rng, _CAPTIONS).format(
        *(looks(thing) for thing in (main, one, other)),
        relation=pick(rng, _relations(main, one)) if "with" not in (text := "") else text,
        relation2=pick(rng, _relations(other, one)),
        corner=CORNERS[main.row][main.column],
        count=NUMBERS[len(scene.things)],
    )
