"""Remove what is not text from texts in annotations."""

from __future__ import annotations

_NOT_TEXT = {
    **dict.fromkeys(
        [*range(0x00, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], " "
    ),  # also what str.splitlines splits at
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),  # lone surrogates, from JSON
}
del _NOT_TEXT[ord("\n")]


def clean(text: str) -> str:
    """Return text of the same length with spaces in place of control characters other than line feeds.

    Line and paragraph separators become spaces too, and lone surrogates the replacement character.
    """
    return text if text.isprintable() else text.translate(_NOT_TEXT)
