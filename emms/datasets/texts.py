"""Texts and ids of samples, as untrusted files have them."""

from __future__ import annotations

from emms.errors import DatasetError, printable


class UniqueIds:
    """Make ids unique: the second sample with the id `x` gets `x#2`."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, id_: str) -> str:
        """Return the id, with a number appended if an earlier sample has it."""
        count = self._counts[id_] = self._counts.get(id_, 0) + 1
        return id_ if count == 1 else self(f"{id_}#{count}")


def well_formed(text: str, where: str) -> str:
    """Return the text. Raises DatasetError if it has half of a surrogate pair, as JSON can have but UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        shown = printable(text[max(cause.start - 20, 0) : cause.start + 20])
        raise DatasetError(f"{where} has half of a character ('{shown}'); fix its escapes, such as \\ud83d") from None
    return text
