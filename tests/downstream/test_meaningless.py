"""Detection of class names without a meaning for a text encoder; a few unusual names among words are fine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.downstream.meaningless import meaningless

AIRCRAFT = [
    "707-320",
    "727-200",
    "737-300",
    "A300B4",
    "A380",
    "ATR-42",
    "BAE-125",
    "C-130",
    "Cessna-172",
    "DC-10",
    "F-16A/B",
    "MD-11",
    "Spitfire",
    "Tornado",
]


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2", "3"],
        ["00", "01", "14"],
        ["1.5", "2.5"],
        list("abc"),
        list("XYZ"),
        ["n02119789", "n02100735", "n01440764"],
        ["/m/01g317", "/m/0199g"],
        ["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "123e4567-e89b-12d3-a456-426614174000"],
        ["a3f9c1", "07be42", "d41d8c"],
        ["class_3", "class_7", "class_19"],
        ["label 7", "label 12"],
        ["Class A", "Class B"],
        ["c0", "c1", "c2", "c3"],
        ["cls-004", "cls-230"],
        ["img004", "img017", "img230"],
        ["d0", "d1", "d2", "d3", "d5"],
        ["0", "1", "2", "cat"],
        [" 7 ", "8"],
        ["٣", "٤"],
    ],
)
def test_codes(names):
    warning = meaningless(names)
    assert "no meaning for a text encoder" in warning
    assert "`class_names:`" in warning
    assert f"'{names[0].strip()}'" in warning


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["cat", "dog"],
        ["zero", "one", "two"],
        ["3d printer", "T-shirt/top", "Ankle boot"],
        ["F-14", "F-15", "F-16", "F-18", "F-22", "F-35"],
        ["A1", "A3", "A4", "A6", "A8"],
        ["2CV", "911", "Mini", "Beetle", "Boxster"],
        AIRCRAFT,
        ["facade", "decade", "beaded"],  # hexadecimal letters only
        ["猫", "犬"],
        ["🐈", "🐕"],
        ["5 euro", "10 euro", "20 euro"],
        ["n01440764 tench", "n01443537 goldfish"],
        ["Boeing 737", "Boeing 747", "Boeing 777"],
        ["class 3", "cat", "dog"],
    ],
)
def test_words(names):
    assert meaningless(names) is None


def test_the_message_says_how_many():
    assert meaningless(["1", "2", "cat"]).startswith(
        "2 of 3 class names have no meaning for a text encoder ('1', '2'), so"
    )
    assert meaningless([str(i) for i in range(9)]).startswith(
        "the class names have no meaning for a text encoder ('0', '1', '2', …)"
    )


@given(st.lists(st.text(max_size=12)))
def test_any_names_give_a_sentence_or_nothing(names):
    assert meaningless(names) is None or len(names) > 0


@given(
    st.lists(st.integers(0, 10**9), min_size=1, unique=True),
    st.lists(st.sampled_from(["cat", "dog", "tree"]), max_size=3, unique=True),
)
def test_numbers_are_detected_unless_words_outnumber_them(numbers, words):
    assert (meaningless([*words, *map(str, numbers)]) is not None) == (len(numbers) >= len(words))
