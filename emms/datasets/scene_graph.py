"""Random scenes: objects with a shape, colour, size and position, in a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from emms.datasets.scene_words import COLOURS, LARGE, OTHER_SIZES, PLACES, SHAPES

T = TypeVar("T")

SIDE = 224
"""Width and height of a picture in pixels."""
CELLS = 3
"""Rows and columns of the grid in which objects are placed, at most one per cell."""

_CELL = SIDE // CELLS
_RADII = {"small": range(14, 18), "medium": range(21, 25), LARGE: range(30, 34)}
_MARGIN = 2  # pixels between an object and the border of its cell
_KINDS = 3  # different shapes, and colours, in one scene: few, so that objects have some in common
_OBJECTS = range(3, 7)


@dataclass(frozen=True)
class Thing:
    """One object of a scene. No two objects of a scene have the same size, colour and shape, or the same name."""

    shape: str
    colour: str
    size: str
    name: str
    """What it is in texts, such as `kettle`; pictures only show its shape."""
    row: int
    column: int
    x: int
    """Centre in pixels from the left."""
    y: int
    """Centre in pixels from the top."""
    radius: int
    """Half the side of the square that contains it, in pixels."""


@dataclass(frozen=True)
class Scene:
    """The objects of a scene, which do not overlap; the first one is the only large one."""

    place: str
    things: tuple[Thing, ...]


def random_numbers(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the generator of one scene; what is drawn for one purpose does not depend on what is for others.

    Draw integers only: floating-point numbers may differ in their last bit from machine to machine.
    """
    return np.random.default_rng([seed, index, purpose])


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]


def sample(rng: np.random.Generator, options: Sequence[T], count: int) -> list[T]:
    """Return `count` different options in random order."""
    left = list(options)
    return [left.pop(int(rng.integers(len(left)))) for _ in range(count)]


def pick_salient(rng: np.random.Generator, scene: Scene, things: Sequence[Thing]) -> Thing:
    """Return one of the things; the large one, which people would talk about most, at least every other time."""
    return scene.things[0] if scene.things[0] in things and rng.integers(2) else pick(rng, things)


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene with three to six objects."""
    count = pick(rng, _OBJECTS)
    shapes, colours = sample(rng, SHAPES, _KINDS), sample(rng, COLOURS, _KINDS)
    looks = [
        (LARGE, pick(rng, colours), pick(rng, shapes)),
        *sample(rng, list(product(OTHER_SIZES, colours, shapes)), count - 1),
    ]
    place = pick(rng, tuple(PLACES))
    names = sample(rng, PLACES[place], count)
    cells = sample(rng, list(product(range(CELLS), range(CELLS))), count)
    things = (_place(rng, look, name, cell) for look, name, cell in zip(looks, names, cells, strict=True))
    return Scene(place, tuple(things))


def _place(rng: np.random.Generator, look: tuple[str, str, str], name: str, cell: tuple[int, int]) -> Thing:
    """Place an object at random within its cell, a (row, column)."""
    size, colour, shape = look
    row, column = cell
    radius = pick(rng, _RADII[size])
    inside = range(_MARGIN + radius, _CELL - _MARGIN - radius + 1)
    x, y = column * _CELL + pick(rng, inside), row * _CELL + pick(rng, inside)
    return Thing(shape, colour, size, name, row, column, x, y, radius)
