"""Passages with questions, and sentences with a place, compared with the scene."""

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scene_texts import passage, sentence
from emms.datasets.scene_words import COLOURS, PLACES, SPOTS
from emms.downstream.text_question_answering import UNANSWERABLE

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, say, index: int = 0):
    scene = draw_scene(random_numbers(seed, index, 0))
    return scene, say(scene, random_numbers(seed, index, 2))


def answer_of(scene, text: str, question: str) -> str:
    """Answer a question by the scene graph, about the things that a passage names."""
    things = [thing for thing in scene.things if re.search(rf"\b{thing.name}\b", text)]
    spots = {SPOTS[thing.row][thing.column]: thing for thing in things if SPOTS[thing.row][thing.column] in text}
    names = {thing.name: thing for thing in things}
    if found := re.fullmatch(r"(?:What is|What can you see) ((?:in|at|on) the .*)\?", question):
        return spots[found[1]].name if found[1] in spots else UNANSWERABLE
    name = re.fullmatch(r".*? the (.*?)(?: have)?\?", question)[1]
    if name not in names:
        return UNANSWERABLE
    if question.startswith("Where"):
        return next(spot for spot, thing in spots.items() if thing.name == name)
    return names[name].colour if "colour" in question else names[name].size


@given(SEEDS)
def test_the_answer_is_right_and_stands_where_it_is_said_to(seed):
    scene, said = drawn(seed, passage)
    assert said.answer == answer_of(scene, said.text, said.question)
    if said.answer == UNANSWERABLE:
        assert said.start == -1
    else:
        assert said.text[said.start : said.start + len(said.answer)] == said.answer
        assert not said.text[said.start - 1].isalpha()
        about = said.text[: said.start].count(". ")  # the sentence with the answer is about what the question asks
        named = re.fullmatch(r".*? the (.*?)(?: have)?\?", said.question)
        assert named is None or named[1] in said.text.split(". ")[about]


@given(SEEDS)
def test_a_passage_tells_two_things_apart_by_name_and_spot(seed):
    scene, said = drawn(seed, passage)
    sentences = said.text.rstrip(".").split(". ")
    things = [[t for t in scene.things if re.search(rf"\b{t.name}\b", text)] for text in sentences]
    assert len(sentences) == 2
    for text, found in zip(sentences, things, strict=True):
        assert [t.name for t in found if SPOTS[t.row][t.column] in text]
        for words in (COLOURS, ("small", "medium", "large")):
            assert {w for w in words if re.search(rf"\b{w}\b", text)} <= {w for t in found for w in (t.colour, t.size)}


def test_some_questions_have_no_answer():
    answers = Counter(drawn(0, passage, index)[1].answer for index in range(1000))
    assert 70 < answers[UNANSWERABLE] < 130
    assert len(answers) > 100


@given(SEEDS)
def test_only_things_tell_the_place_of_a_sentence(seed):
    scene, text = drawn(seed, sentence)
    named = {name for name in PLACES[scene.place] if re.search(rf"\b{name}\b", text)}
    assert named & {thing.name for thing in scene.things}
    assert not re.search(rf"\b({'|'.join(PLACES)})\b", text)
