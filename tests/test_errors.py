"""Any text in messages is safe to print."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import did_you_mean, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photos", "photos"),
        ("Größe 图片 ✓", "Größe 图片 ✓"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("two\nlines\tand\r", r"two\nlines\tand\r"),
        ("left\u202eright", r"left\u202eright"),
        ("half\ud800", r"half\ud800"),
        (3, "3"),
    ],
)
def test_unprintable_characters_are_escaped(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line(text):
    shown = printable(text, limit=None)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode().decode() == shown


def test_a_long_text_is_shortened_in_the_middle():
    shown = printable("a" * 500 + "b" * 500, limit=90)
    assert shown == "a" * 60 + " … " + "b" * 30
    assert printable("a" * 90, limit=90) == "a" * 90


def test_suggested_names_are_escaped():
    assert did_you_mean("resnet5O", ["resnet50", "vit"]) == "; did you mean 'resnet50'?"
    assert did_you_mean("label", ["\x1blabel"]) == r"; did you mean '\x1blabel'?"
    assert did_you_mean("x" * 100_000, ["resnet50"]) == ""
