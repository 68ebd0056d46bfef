"""Questions about pictures: their answers, found again in the pixels."""

import re
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scene_pictures import draw_picture
from emms.datasets.scene_questions import ANSWERS, question
from emms.datasets.scene_words import COLOURS, SHAPES
from tests.datasets.scene_truth import SIDES, meant, seen

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six"]


def asked(seed: int, index: int = 0):
    scene = draw_scene(random_numbers(seed, index, 0))
    return scene, *question(scene, random_numbers(seed, index, 2))


def answer_of(scene, text: str) -> str:
    """Answer a question by the scene graph, which the tests of pictures compare with pixels."""
    things = scene.things
    if found := re.fullmatch(r"(?:what|which) (colour|shape) (?:is|does) the (.*?)(?: have)?\?", text):
        (thing,) = meant(scene, f"the {found[2]}")
        return getattr(thing, found[1])
    if found := re.fullmatch(r"the (.*) has which colour\?", text):
        (thing,) = meant(scene, f"the {found[1]}")
        return thing.colour
    if found := re.fullmatch(r"(?:how big is|what is the size of) the (.*)\?", text):
        (thing,) = meant(scene, f"the {found[1]}")
        return thing.size
    if found := re.fullmatch(r"where is the (.*)\?", text):
        (thing,) = meant(scene, f"the {found[1]}")
        row, column = ("top", "", "bottom")[thing.row], ("left", "", "right")[thing.column]
        return f"{row} {column}".strip() or "middle"
    if found := re.fullmatch(r"how many (?:(\w+) objects|(\w+)) are there\?", text):
        colour, plural = found.groups()
        return NUMBERS[sum(t.colour == colour or plural in {f"{t.shape}s", f"{t.shape}es", "objects"} for t in things)]
    if found := re.fullmatch(r"is there an? (\w+) (\w+)\?", text):
        return "yes" if any((t.colour, t.shape) == found.groups() for t in things) else "no"
    one, side, other = re.fullmatch(rf"is the (.*) ({'|'.join(SIDES)}) the (.*)\?", text).groups()
    ((first,), (second,)) = meant(scene, f"the {one}"), meant(scene, f"the {other}")
    sides = {"to the left of": first.x < second.x - 30, "to the right of": first.x > second.x + 30}
    sides |= {"above": first.y < second.y - 30, "below": first.y > second.y + 30}
    return "yes" if sides[side] else "no"


@given(st.integers(0, 2**32 - 1))
def test_answers_are_right(seed):
    scene, text, answer = asked(seed)
    assert answer in ANSWERS
    assert answer == answer_of(scene, text)


def test_counts_match_the_pixels():
    checked = 0
    for seed in range(300):
        scene, text, answer = asked(seed)
        if found := re.fullmatch(r"how many (?:(\w+) )?objects are there\?", text):
            objects = seen(draw_picture(scene, random_numbers(seed, 0, 1)))
            assert NUMBERS[sum(found[1] in {None, one.colour} for one in objects)] == answer
            checked += 1
    assert checked > 10


def test_all_answers_occur():
    assert len(ANSWERS) == len(set(ANSWERS)) == 41
    assert {asked(0, i)[2] for i in range(3000)} == set(ANSWERS)


def test_the_question_alone_does_not_determine_the_answer():
    answers = defaultdict(Counter)
    for index in range(6000):
        _, text, answer = asked(1, index)
        kind = re.sub(rf"\b(small|medium|large|object|{'|'.join([*COLOURS, *SHAPES])})\b ?", "", text)
        answers[kind][answer] += 1
    most = sum(counts.most_common(1)[0][1] for counts in answers.values())
    assert most < 0.4 * 6000
    for kind, counts in answers.items():
        if counts.total() >= 50:
            assert counts.most_common(1)[0][1] <= 0.66 * counts.total(), kind
