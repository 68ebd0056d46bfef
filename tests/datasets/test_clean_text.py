"""Texts without control characters."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.clean_text import clean


def test_control_characters_become_spaces():
    assert clean("a\x00b\tc\r\nd\x1b[31m\x85\u2028") == "a b c \nd [31m  "


def test_text_is_kept():
    text = "Über naïve — 日本語 👩‍👩‍👧 \u00a0 e\u0301"
    assert clean(text) == text


def test_halves_of_characters_are_replaced():
    assert clean("\ud83d x") == "\N{REPLACEMENT CHARACTER} x"


@given(st.text(st.characters()))
def test_laws(text):
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert clean(cleaned) == cleaned
    cleaned.encode()
    assert len(cleaned.splitlines()) <= cleaned.count("\n") + 1  # no other ends of lines
    assert all(c == "\n" or unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} for c in cleaned)
