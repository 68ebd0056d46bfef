"""Windows of texts that are too long, compared with windows cut by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny_networks
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import VOCABULARY, WORDS, features, network, samples

from emms.errors import ModelError
from emms.models.text_windows import TextWindows

LONGEST = 16
OVERLAP = LONGEST // 4
START, END = 2, 3
texts = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)


def windows(cut: bool = False, full_length: bool = False, longest: int = LONGEST) -> TextWindows:
    return TextWindows(tiny_networks.tokenizer(), longest, cut, full_length, "")


def ids(text: str) -> list[int]:
    return [VOCABULARY[word] for word in text.split()]


def cut_by_hand(tokens: list[int], room: int, overlap: int) -> list[list[int]]:
    """Return pieces of at most `room` tokens; each starts `room - overlap` after the one before."""
    pieces, start = [tokens[:room]], 0
    while start + room < len(tokens):
        start += room - overlap
        pieces.append(tokens[start : start + room])
    return pieces


@given(texts)
def test_a_long_text_becomes_overlapping_windows(text: str):
    expected = [[START, *piece, END] for piece in cut_by_hand(ids(text), LONGEST - 2, OVERLAP)]
    found = windows()(text)
    assert [window["input_ids"].tolist() for window in found] == expected
    assert all(window["attention_mask"].all() for window in found)


@given(texts, texts.filter(bool))
def test_each_window_of_a_pair_has_the_question_and_a_part_of_the_passage(question: str, passage: str):
    asked, tokens = ids(question), ids(passage)
    if len(asked) + len(tokens) + 3 > LONGEST:
        asked = asked[: LONGEST // 2 - 3]
    room = LONGEST - 3 - len(asked)
    pieces = cut_by_hand(tokens, room, min(OVERLAP, room // 2))
    found = windows()(question, passage)
    assert [window["input_ids"].tolist() for window in found] == [[START, *asked, END, *p, END] for p in pieces]


@given(texts)
def test_a_text_can_be_cut_instead(text: str):
    (found,) = windows(cut=True)(text)
    assert found["input_ids"].tolist() == [START, *ids(text)[: LONGEST - 2], END]


def test_texts_can_be_padded_to_the_maximum_length():
    (found,) = windows(cut=True, full_length=True)("a red dog")
    assert found["input_ids"].tolist() == [START, *ids("a red dog"), END] + [0] * 11
    assert found["attention_mask"].sum() == 5


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=80), st.data())
def test_the_window_with_the_answer_has_it_farthest_from_the_ends(words: list[str], data):
    passage, place = " ".join(words), data.draw(st.integers(0, len(words) - 1))
    answer_start = len(" ".join(words[:place])) + (place > 0)
    room = LONGEST - 3 - 2
    pieces = cut_by_hand(list(range(len(words))), room, min(OVERLAP, room // 2))
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])

    def margin(piece: list[int]) -> int:
        first, last = starts[piece[0]], starts[piece[-1]] + len(words[piece[-1]]) - 1
        return min(answer_start - first, last - answer_start)

    expected = max(pieces, key=margin)  # the first of the best
    assert place in expected
    (found,) = windows().with_answer("who ?", passage, answer_start)
    assert found["input_ids"].tolist() == [START, *ids("who ?"), END, *(ids(words[i])[0] for i in expected), END]


def test_without_a_known_position_all_windows_are_read():
    passage = "a red dog " * 20
    for unknown in (-1, 10_000):
        found = windows().with_answer("who ?", passage, unknown)
        assert len(found) == len(windows()("who ?", passage)) > 1


def test_an_empty_text_without_special_tokens_is_the_end_token():
    empty = TextWindows(tiny_networks.tokenizer("$A", "$A $B:1"), LONGEST, False, False, "\n")("")
    assert [window["input_ids"].tolist() for window in empty] == [[END]]
    assert empty[0]["attention_mask"].tolist() == [1]


def test_a_window_without_room_is_refused():
    with pytest.raises(ModelError, match="a window of 2 tokens has no room"):
        windows(longest=2)("a")


def test_threads_get_the_windows_of_their_own_texts():
    one, passage = windows(), "a red dog is on the box " * 9
    pairs = [(" ".join(WORDS[: i % 7]), passage[: 11 * (i % 13)]) for i in range(300)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pair: one(*pair), pairs))
    for pair, some in zip(pairs, found, strict=True):
        for window, expected in zip(some, windows()(*pair), strict=True):
            np.testing.assert_array_equal(window["input_ids"], expected["input_ids"])


@pytest.mark.parametrize("kind", ["bert", "gpt2", "bart"])
def test_features_of_a_long_passage_are_the_mean_over_windows_or_those_of_the_answer(tiny, kind: str):
    passage = " ".join(WORDS * 3)
    long = tiny_networks.Fields("long", None, "who is red ?", passage, "", passage.rindex("green"))
    given = [*samples(), long]
    mean = network(tiny(kind), "text", "context")
    inputs = [mean.prepare(sample) for sample in given]
    assert len(inputs[-1].windows) > 2
    assert mean.length(inputs[-1]) == sum(len(window["input_ids"]) for window in inputs[-1].windows)
    alone = network(tiny(kind), "text", "context", "answer_start", windows="answer")
    assert alone.reads == {"text", "context", "answer_start"}

    forward = mean.load(tiny_networks.torch.device("cpu"))
    each = [
        tiny_networks.run(mean, forward, [inputs[-1]._replace(windows=[window])])[0][0] for window in inputs[-1].windows
    ]
    together = tiny_networks.run(mean, forward, inputs)[0]
    np.testing.assert_allclose(together[-1], np.mean(each, axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(together[:-1], tiny_networks.run(mean, forward, inputs[:-1])[0], rtol=1e-5, atol=1e-5)
    (answer,) = alone.prepare(long).windows
    holding = [i for i, w in enumerate(inputs[-1].windows) if np.array_equal(w["input_ids"], answer["input_ids"])]
    np.testing.assert_allclose(features(alone, given)[0][-1], each[holding[0]], rtol=1e-5, atol=1e-5)
