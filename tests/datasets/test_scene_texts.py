"""Passages with questions, and sentences with a place, compared with the scene."""

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import draw_scene, random_numbers
from emms.datasets.scene_texts import passage, sentence
from emms.datasets.scene_words import PLACES, SPOTS
from emms.downstream.text_question_answering import UNANSWERABLE

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, say, index: int = 0):
    scene = draw_scene(random_numbers(seed, index, 0))
    return scene, say(scene, random_numbers(seed, index, 2))


def answer_of(scene, question: str) -> str:
    """Answer a question by the scene graph."""
    spots = {SPOTS[thing.row][thing.column]: thing for thing in scene.things}
    names = {thing.name: thing for thing in scene.things}
    if question == "How many things are there?":
        return ["three", "four", "five", "six"][len(scene.things) - 3]
    if question == "Which place is this about?":
        return scene.place
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
    assert said.answer == answer_of(scene, said.question)
    if said.answer == UNANSWERABLE:
        assert said.start == -1
    else:
        assert said.text[said.start : said.start + len(said.answer)] == said.answer
        assert not said.text[said.start - 1].isalpha()
        about = said.text[: said.start].count(". ")  # the sentence with the answer is about what the question asks
        named = re.fullmatch(r".*? the (.*?)(?: have)?\?", said.question)
        assert named is None or named[1] in said.text.split(". ")[about]


@given(SEEDS)
def test_a_passage_says_everything_about_each_thing(seed):
    scene, said = drawn(seed, passage)
    first, *sentences = said.text.rstrip(".").split(". ")
    assert scene.place in first
    assert len(sentences) == len(scene.things)
    for thing in scene.things:
        (about,) = [text for text in sentences if SPOTS[thing.row][thing.column] in text]
        assert all(word in about for word in (thing.name, thing.size, thing.colour))


def test_some_questions_have_no_answer():
    answers = Counter(drawn(0, passage, index)[1].answer for index in range(1000))
    assert 150 < answers[UNANSWERABLE] < 250
    assert len(answers) > 100


@given(SEEDS)
def test_only_things_tell_the_place_of_a_sentence(seed):
    scene, text = drawn(seed, sentence)
    named = {name for name in PLACES[scene.place] if re.search(rf"\b{name}\b", text)}
    assert named & {thing.name for thing in scene.things}
    assert not re.search(rf"\b({'|'.join(PLACES)})\b", text)
