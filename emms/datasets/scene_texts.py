"""Texts about a scene as a place with things in it: a passage with a question, and a sentence that fits one place."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace

import numpy as np

from emms.datasets.scene_graph import Scene, Thing, pick, sample
from emms.datasets.scene_words import NUMBERS, PLACES, SPOTS
from emms.downstream.text_question_answering import UNANSWERABLE

_OPENINGS = (
    "This is the {place}, where there are {count} things.",
    "Look at this {place}: it has {count} things.",
    "The {place} has {count} things in view.",
)
_STATEMENTS = (
    "A {size} {colour} {name} is {spot}.",
    "You can see a {size} {colour} {name} {spot}.",
    "The {name} {spot} is {size} and {colour}.",
    "There is something {colour} {spot}, a {size} {name}.",
)
_ABOUT_PLACE = {"count": "How many things are there?", "place": "Which place is this about?"}
_ABOUT_THING = {
    "colour": ("What colour is the {name}?", "Which colour does the {name} have?"),
    "size": ("How big is the {name}?", "What size does the {name} have?"),
    "spot": ("Where is the {name}?", "Where can you find the {name}?"),
    "name": ("What is {spot}?", "What can you see {spot}?"),
}
_KINDS = ("colour", "size", "spot", "name", "name", "name")  # names have most to do with what words mean
_SENTENCES = (
    "The {name} is {spot}.",
    "Someone has put a {size} {name} {spot}.",
    "You can see the {colour} {name} from here.",
    "Anna was looking for something else but found only a {size} {colour} {name}.",
    "Where did you leave the {name} after you cleaned it?",
    "This {colour} {name} is older than that {other_colour} one.",
    "They sold the {name} last week.",
    "Nobody knows to whom the {size} {name} belongs.",
    "Is that a {name}, or is it something {other_colour}?",
)
_PLACE_IN, _UNANSWERABLE_IN = 7, 5  # one question in so many


@dataclass(frozen=True)
class Passage:
    """A passage, a question, and its answer with the index of its first character, or `UNANSWERABLE` with -1."""

    text: str
    question: str
    answer: str
    start: int


def passage(scene: Scene, rng: np.random.Generator) -> Passage:
    """Return a passage about a scene, and a question that it answers, or, one time in five, does not."""
    about_place = {"count": NUMBERS[len(scene.things)], "place": scene.place}
    sentences, facts = [pick(rng, _OPENINGS).format(**about_place)], [about_place]
    for thing in sample(rng, scene.things, len(scene.things)):
        facts.append(_facts(thing))
        sentences.append(pick(rng, _STATEMENTS).format(**facts[-1]))
    text = " ".join(sentences)
    if not rng.integers(_UNANSWERABLE_IN):
        kind = pick(rng, _KINDS)
        return Passage(text, pick(rng, _ABOUT_THING[kind]).format(**_facts(_absent(scene, rng))), UNANSWERABLE, -1)
    if not rng.integers(_PLACE_IN):
        number, kind = 0, pick(rng, tuple(_ABOUT_PLACE))
        question = _ABOUT_PLACE[kind]
    else:
        number, kind = 1 + int(rng.integers(len(scene.things))), pick(rng, _KINDS)
        question = pick(rng, _ABOUT_THING[kind]).format(**facts[number])
    answer = facts[number][kind]
    before = sum(len(sentence) + 1 for sentence in sentences[:number])
    start, _ = next(re.finditer(rf"\b{re.escape(answer)}\b", text[before:])).span()
    return Passage(text, question, answer, before + start)


def sentence(scene: Scene, rng: np.random.Generator) -> str:
    """Return a sentence about one thing of a scene, whose name alone tells which place it is."""
    one, other = sample(rng, scene.things, 2)
    return pick(rng, _SENTENCES).format(**_facts(one), other_colour=other.colour)


def _facts(thing: Thing) -> dict[str, str]:
    return {**asdict(thing), "spot": SPOTS[thing.row][thing.column]}


def _absent(scene: Scene, rng: np.random.Generator) -> Thing:
    """Return a thing that is not in a scene but could be: with another name, in a cell that is empty."""
    names, cells = {thing.name for thing in scene.things}, {(thing.row, thing.column) for thing in scene.things}
    name = pick(rng, [name for name in PLACES[scene.place] if name not in names])
    spots = [(row, column) for row, line in enumerate(SPOTS) for column in range(len(line))]
    row, column = pick(rng, [cell for cell in spots if cell not in cells])
    return replace(scene.things[0], name=name, row=row, column=column)
