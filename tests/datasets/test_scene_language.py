"""Captions and referring expressions, read again by the parser of the tests."""

import re

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scene_language import caption, expression
from emms.datasets.scene_words import COLOURS, SHAPES
from tests.datasets.scene_truth import EXPRESSION, PLACE, SIDES, meant

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_an_expression_fits_one_object_alone(seed):
    scene = draw_scene(random_numbers(seed, 0, 0))
    text, thing = expression(scene, random_numbers(seed, 0, 2))
    assert meant(scene, text) == [thing]


def test_expressions_name_looks_places_ends_and_other_objects():
    kinds = set()
    for seed in range(200):
        text, _ = expression(draw_scene(random_numbers(seed, 0, 0)), random_numbers(seed, 0, 2))
        end, _, _, _, place, side, _ = EXPRESSION.fullmatch(text).groups()
        kinds.add((bool(end), bool(place), bool(side)))
    assert kinds == {(False, False, False), (True, False, False), (False, True, False), (False, False, True)}


@given(SEEDS)
def test_a_caption_is_true(seed):
    scene = draw_scene(random_numbers(seed, 0, 0))
    text = caption(scene, random_numbers(seed, 0, 2))
    full = re.findall(rf"\b(?:small|medium|large) (?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)})\b", text)
    assert 2 <= len(full) <= 3
    named = {words: meant(scene, f"the {words}") for words in full}
    assert all(len(things) == 1 for things in named.values())
    assert named[full[0]] == [scene.things[0]]
    if count := re.match("(three|four|five|six) shapes", text):
        assert ["three", "four", "five", "six"].index(count[1]) + 3 == len(scene.things)
    if place := re.search(PLACE + r"(?=[ ;])", text):
        assert meant(scene, f"the {full[0]} {place[0]}") == [scene.things[0]]
    for side, holds in SIDES.items():
        if found := re.search(rf"(\w+ \w+ \w+) {side} a (\w+ \w+ \w+)$", text):
            assert holds(named[found[1]][0], named[found[2]][0])
        elif found := re.search(rf"with a (\w+ \w+ \w+) {side} it$", text):
            assert holds(named[found[1]][0], scene.things[0])


def test_captions_hardly_repeat():
    texts = {caption(draw_scene(random_numbers(0, i, 0)), random_numbers(0, i, 2)) for i in range(1000)}
    assert len(texts) > 980
