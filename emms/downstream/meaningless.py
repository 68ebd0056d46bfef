"""Detect class names that have no meaning for a text encoder: numbers, letters, ids."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

_IDS = re.compile(
    r"n\d{7,8}"  # WordNet
    r"|/?[mg]/[0-9a-z_]+"  # Freebase, as in Open Images
    r"|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}"  # UUID
    r"|(0x)?(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}",  # hexadecimal, both digits and letters
    re.IGNORECASE,
)
_GENERIC = frozenset(
    {"c", "cat", "category", "class", "classname", "cls", "cluster", "folder", "group", "id", "idx", "index"}
    | {"item", "klass", "kind", "label", "lbl", "obj", "object", "sample", "target", "type", "y"}
)
_NUMBERED = re.compile(r"(?P<prefix>[^\W\d_]+)[\s_.#:-]*(?P<number>\d+)")
_LETTERED = re.compile(r"(?P<prefix>[^\W\d_]+)[\s_.#:-]+[a-z]", re.IGNORECASE)


def meaningless(names: Sequence[str]) -> str | None:
    """Return a warning if at least half of the class names have no meaning for a text encoder, else None.

    Such names have no letters, are single letters or ids (WordNet, UUID, hexadecimal), or differ only by a number
    ("class_3", "c12"). A few among words are fine: aircraft and cars are called 707-320 and 2CV.
    """
    stripped = [name.strip() for name in names]
    numbered = _numbered_names(stripped)
    codes = [name for name in stripped if name in numbered or _is_code(name)]
    if not codes or 2 * len(codes) < len(stripped):
        return None
    shown = ", ".join(f"'{name}'" for name in codes[:3]) + (", …" if len(codes) > 3 else "")
    which = "the class names" if len(codes) == len(stripped) else f"{len(codes)} of {len(stripped)} class names"
    return (
        f"{which} have no meaning for a text encoder ({shown}), so label embeddings and scores are not informative; "
        f"give names in words with the dataset's setting `class_names:`, a mapping from these labels to names or the "
        f"path of a file with a `label,name` per line"
    )


def _is_code(name: str) -> bool:
    if len(name) == 1 and unicodedata.category(name) in {"Lu", "Ll"}:  # not 猫, which is a word
        return True
    if not any(character.isalpha() for character in name):
        return any(character.isdigit() for character in name)
    return _IDS.fullmatch(name) is not None or _is_generic(name)


def _is_generic(name: str) -> bool:
    """Return whether a name is a generic word with a number or a letter: 'class 3', 'label_b', 'cls-004'."""
    match = _NUMBERED.fullmatch(name) or _LETTERED.fullmatch(name)
    return match is not None and match["prefix"].casefold() in _GENERIC


def _numbered_names(names: Sequence[str]) -> set[str]:
    """Return the names that share a prefix and differ by a running number.

    The numbers have leading zeros, or start at 0 or 1 with almost no gaps: 'd0', 'd1', 'd2' and 'img004', 'img017' are
    numbered names; F-14, F-16, F-22 and F-35 are not.
    """
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            groups[match["prefix"].casefold()][name] = match["number"]
    return {name for group in groups.values() if len(group) > 1 and _is_running(list(group.values())) for name in group}


def _is_running(numbers: Sequence[str]) -> bool:
    widths, values = {len(number) for number in numbers}, [int(number) for number in numbers]
    padded = len(widths) == 1 and widths != {1} and any(number.startswith("0") for number in numbers)
    return padded or (min(values) <= 1 and max(values) <= len(values) + 1)
