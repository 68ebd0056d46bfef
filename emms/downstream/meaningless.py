"""Class names without a meaning for a text encoder: numbers, letters, ids."""

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
    """Return a warning if half of the class names or more have no meaning for a text encoder, else None.

    Such names have no letters at all, are single letters, ids (WordNet, UUID, hexadecimal), or differ by a number only
    ("class_3", "c12"). A few among words are fine: aircraft and cars are called 707-320 and 2CV.
    """
    distinct = [name.strip() for name in names]
    counted = _merely_numbered(distinct)
    codes = [name for name in distinct if name in counted or _is_code(name)]
    if not codes or 2 * len(codes) < len(distinct):
        return None
    shown = ", ".join(f"'{name}'" for name in codes[:3]) + (", …" if len(codes) > 3 else "")
    which = "the class names" if len(codes) == len(distinct) else f"{len(codes)} of {len(distinct)} class names"
    return (
        f"{which} have no meaning for a text encoder ({shown}), so label embeddings and scores say little; give "
        f"names in words with the dataset's setting `class_names:`, a mapping from these labels to names or the path "
        f"of a file with a `label,name` per line"
    )


def _is_code(name: str) -> bool:
    if len(name) == 1 and unicodedata.category(name) in {"Lu", "Ll"}:  # not 猫, which is a word
        return True
    if not any(character.isalpha() for character in name):
        return any(character.isdigit() for character in name)
    return _IDS.fullmatch(name) is not None or _is_generic(name)


def _is_generic(name: str) -> bool:
    """Say whether this is a word for classes as such with a number or a letter: 'class 3', 'label_b', 'cls-004'."""
    found = _NUMBERED.fullmatch(name) or _LETTERED.fullmatch(name)
    return found is not None and found["prefix"].casefold() in _GENERIC


def _merely_numbered(names: Sequence[str]) -> set[str]:
    """Return the names that only count: one prefix, and numbers with leading zeros or from 0 or 1 almost without gaps.

    'd0', 'd1', 'd2' and 'img004', 'img017' do; F-14, F-16, F-22 and F-35 do not.
    """
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        if found := _NUMBERED.fullmatch(name):
            groups[found["prefix"].casefold()][name] = found["number"]
    return {name for group in groups.values() if len(group) > 1 and _counts(list(group.values())) for name in group}


def _counts(numbers: Sequence[str]) -> bool:
    widths, values = {len(number) for number in numbers}, [int(number) for number in numbers]
    padded = len(widths) == 1 and widths != {1} and any(number.startswith("0") for number in numbers)
    return padded or (min(values) <= 1 and max(values) <= len(values) + 1)
