"""Types of text in a spec that is safe to show in tables, messages, files and web pages."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains characters that cannot be printed, such as control characters; remove them")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_printable)]
"""A name for a look-up, or a path or URL as text."""

Alias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)
]
"""A name that the user chooses."""
