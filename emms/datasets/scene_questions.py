"""Questions about the picture of a scene, with answers from a closed list."""

from __future__ import annotations

from itertools import product

import numpy as np

from emms.datasets.scene_graph import Scene, pick, pick_salient, sample
from emms.datasets.scene_language import alike, names, relations
from emms.datasets.scene_words import COLOURS, CORNERS, LARGE, NUMBERS, OTHER_SIZES, SHAPES

ANSWERS = (
    *("yes", "no", LARGE, *OTHER_SIZES, *NUMBERS, *COLOURS, *SHAPES),
    *(corner for row in CORNERS for corner in row),
)
_ASKED = {
    "colour": ("what colour is the {}?", "the {} has which colour?"),
    "shape": ("what shape is the {}?", "which shape does the {} have?"),
    "size": ("how big is the {}?", "what is the size of the {}?"),
}


def question(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Return a question and its answer, one of `ANSWERS`; the question alone does not determine the answer."""
    kinds = (_looks, _where, _how_many, _is_there, _is_it)
    weights = (0, 0, 0, 0, 1, 1, 2, 3, 4)  # three kinds of looks, and few questions that are answered by yes or no
    return kinds[pick(rng, weights)](scene, rng)


def _looks(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Ask for the colour, shape or size of an object that the other attributes describe."""
    attribute = pick(rng, tuple(_ASKED))
    found = [(thing, name) for thing in scene.things for name in names(scene, thing, attribute)]
    if not found:  # the objects differ in nothing but this
        return _where(scene, rng)
    things = list(dict.fromkeys(thing for thing, _ in found))
    thing = pick(rng, things) if attribute == "size" else pick_salient(rng, scene, things)
    name = pick(rng, [name for one, name in found if one is thing])
    return pick(rng, _ASKED[attribute]).format(name), getattr(thing, attribute)


def _where(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    thing = pick_salient(rng, scene, scene.things)
    return f"where is the {pick(rng, names(scene, thing))}?", CORNERS[thing.row][thing.column]


def _how_many(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Ask how many objects there are, of a colour or of a shape that at most one scene in four lacks."""
    if not rng.integers(4):
        return "how many objects are there?", NUMBERS[len(scene.things)]
    attribute, options = pick(rng, (("colour", COLOURS), ("shape", SHAPES)))
    if rng.integers(4):
        thing = pick(rng, scene.things)
        value, count = getattr(thing, attribute), len(alike(scene, thing, (attribute,)))
    else:
        value, count = pick(rng, _absent(scene, attribute, options)), 0
    text = f"how many {value} objects are there?" if attribute == "colour" else f"how many {_plural(value)} are there?"
    return text, NUMBERS[count]


def _is_there(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Ask for an object with a colour and a shape that is there, or, as often, for one that could be but is not."""
    there = {(thing.colour, thing.shape) for thing in scene.things}
    seen = product(*({getattr(thing, name): 0 for thing in scene.things} for name in ("colour", "shape")))
    missing = [look for look in seen if look not in there]
    answer = pick(rng, ("yes", "no"))
    if answer == "no" and not missing:
        missing = [(colour, scene.things[0].shape) for colour in _absent(scene, "colour", COLOURS)]
    colour, shape = pick(rng, sorted(there)) if answer == "yes" else pick(rng, missing)
    article = "an" if colour == "orange" else "a"
    return f"is there {article} {colour} {shape}?", answer


def _is_it(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """Ask whether an object is on one side of another."""
    one, other = sample(rng, scene.things, 2)
    relation = pick(rng, relations(one, other))
    answer = pick(rng, ("yes", "no"))
    if answer == "no":
        one, other = other, one
    first, second = (pick(rng, names(scene, thing)) for thing in (one, other))
    return f"is the {first} {relation} the {second}?", answer


def _plural(shape: str) -> str:
    """Return the plural of a shape."""
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _absent(scene: Scene, attribute: str, options: tuple[str, ...]) -> list[str]:
    present = {getattr(thing, attribute) for thing in scene.things}
    return [value for value in options if value not in present]
