"""Captions of the picture of a scene, and expressions that refer to one object in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from emms.datasets.scene_graph import Scene, Thing, pick, pick_salient, sample
from emms.datasets.scene_words import IN_CORNERS, NUMBERS

EVERYTHING = ("size", "colour", "shape")
_LOOKS = (EVERYTHING, ("colour", "shape"), ("size", "shape"), ("size", "colour"), ("shape",), ("colour",), ("size",))
"""The attributes that a description may have, in the order of their words."""
RELATIONS: Mapping[str, Callable[[Thing, Thing], bool]] = {
    "to the left of": lambda one, other: one.column < other.column,
    "to the right of": lambda one, other: one.column > other.column,
    "above": lambda one, other: one.row < other.row,
    "below": lambda one, other: one.row > other.row,
}
_ENDS: Mapping[str, Callable[[Thing], int]] = {
    "leftmost": lambda thing: thing.column,
    "rightmost": lambda thing: -thing.column,
    "topmost": lambda thing: thing.row,
    "bottommost": lambda thing: -thing.row,
}
_CAPTIONS = (
    "a {main} with a {one} {one_to_main} it",
    "a {main} {main_to_one} a {one}",
    "a {main} {corner} and a {one}",
    "a {main}, a {one} and a {other}",
    "a picture of a {main}, and of a {other} {other_to_one} a {one}",
    "{count} shapes, among them a {main} and a {one}",
    "the largest shape is a {main} {corner}; there are also a {one} and a {other}",
)


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Return a caption that names the largest object and one or two others."""
    main, (one, other) = scene.things[0], sample(rng, scene.things[1:], 2)
    return pick(rng, _CAPTIONS).format(
        main=describe(main),
        one=describe(one),
        other=describe(other),
        one_to_main=pick(rng, relations(one, main)),
        main_to_one=pick(rng, relations(main, one)),
        other_to_one=pick(rng, relations(other, one)),
        corner=IN_CORNERS[main.row][main.column],
        count=NUMBERS[len(scene.things)],
    )


def expression(scene: Scene, rng: np.random.Generator) -> tuple[str, Thing]:
    """Return an expression and the only object of the scene that it refers to, by its looks, its place or another."""
    thing = pick_salient(rng, scene, scene.things)
    # Half of them by looks alone, as in RefCOCO+, so that where the object is has to be seen.
    kinds = (_by_looks, _by_looks, _by_looks, _by_corner, _by_end, _by_other)
    return pick(rng, [text for text in (kind(scene, thing, rng) for kind in kinds) if text]), thing


def describe(thing: Thing, attributes: tuple[str, ...] = EVERYTHING) -> str:
    """Return a description without an article, such as `large red star`, or `red object` without its shape."""
    words = [getattr(thing, name) for name in attributes]
    return " ".join(words if "shape" in attributes else [*words, "object"])


def alike(scene: Scene, thing: Thing, attributes: tuple[str, ...]) -> list[Thing]:
    """Return the objects, `thing` among them, that have the same attributes."""
    wanted = [getattr(thing, name) for name in attributes]
    return [other for other in scene.things if [getattr(other, name) for name in attributes] == wanted]


def names(scene: Scene, thing: Thing, hidden: str = "") -> list[str]:
    """Return the descriptions that fit no other object, without an attribute that is not to be told."""
    return [describe(thing, looks) for looks in _LOOKS if hidden not in looks and len(alike(scene, thing, looks)) == 1]


def relations(one: Thing, other: Thing) -> list[str]:
    """Return where one object is relative to the other: one or two of `RELATIONS`."""
    return [name for name, holds in RELATIONS.items() if holds(one, other)]


def _by_looks(scene: Scene, thing: Thing, rng: np.random.Generator) -> str:
    return f"the {pick(rng, names(scene, thing))}"


def _by_corner(scene: Scene, thing: Thing, rng: np.random.Generator) -> str:
    return f"the {describe(thing, pick(rng, _LOOKS))} {IN_CORNERS[thing.row][thing.column]}"


def _by_end(scene: Scene, thing: Thing, rng: np.random.Generator) -> str:
    """Return an expression such as `the leftmost star`, or "" if there is none."""
    found = []
    for looks in _LOOKS:
        others = [other for other in alike(scene, thing, looks) if other is not thing]
        for end, place in _ENDS.items():
            if others and all(place(thing) < place(other) for other in others):
                found.append(f"the {end} {describe(thing, looks)}")
    return pick(rng, found) if found else ""


def _by_other(scene: Scene, thing: Thing, rng: np.random.Generator) -> str:
    """Return an expression such as `the star to the left of the red heart`, or "" if there is none."""
    other = pick(rng, [other for other in scene.things if other is not thing])
    found = [
        f"the {describe(thing, looks)} {name}"
        for looks in _LOOKS
        for name in relations(thing, other)
        if sum(RELATIONS[name](one, other) for one in alike(scene, thing, looks)) == 1
    ]
    return f"{pick(rng, found)} the {pick(rng, names(scene, other))}" if found else ""
