"""Match the names of candidates in scores and in a truth table."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

import polars as pl

from emms.errors import EMMSError
from emms.evaluation.tables import truth_table

SIMILAR = 0.85
"""Minimum similarity of a suggested name: typing errors are above, different networks of a family mostly below."""
SHORT_LIST = 3
"""Number of names that a message lists before it counts the rest."""


def named_as(truth: pl.DataFrame, names: Mapping[str, Sequence[str]], what: str = "the truth") -> pl.DataFrame:
    """Return a truth table with models renamed to the ids of the candidates.

    truth: as for `evaluate`. names: other names of each candidate, by its id, such as the file name of its
    checkpoint. what: name of the table in messages. Returns columns `model`, `value` and, if the table has it,
    `dataset`. Models that are not candidates keep their names. Paths are compared in normalised form, with `~`
    expanded, and all names in Unicode normal form C. An id takes precedence over the other names of other candidates.

    Raises EMMSError if a name in the truth matches several candidates, if two rows have different values for a
    candidate, or if the table is not as described.
    """
    ids, other_names = defaultdict(set), defaultdict(set)
    for candidate, others in names.items():
        ids[_normal(candidate)].add(candidate)
        for other in others:
            other_names[_normal(other)].add(candidate)
    written = truth_table(truth, what).rename({"model": "written"})
    to_id = {name: _candidate(name, names, ids, other_names, what) for name in written["written"].unique()}
    renamed = written.with_columns(model=pl.col("written").replace_strict(to_id, return_dtype=pl.String))
    keys = [key for key in ("model", "dataset") if key in renamed.columns]
    for first, second in pairwise(renamed.sort(*keys, "value", "written").iter_rows(named=True)):
        if all(first[key] == second[key] for key in keys) and first["value"] != second["value"]:
            raise EMMSError(
                f"{what}: {first['written']!r} and {second['written']!r} both name candidate {first['model']!r} but "
                f"have different values, {first['value']} and {second['value']}; keep one of these rows"
            )
    return renamed.select(*keys, "value").unique().sort(*keys)


def nearest(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return the most similar other name for each name, if one is similar; each other name is used at most once.

    The result is ordered by similarity, most similar first.
    """
    forms = [(other, *_forms(other)) for other in sorted(set(others))]
    pairs = []
    for name in sorted(set(names)):
        core, base = _forms(name)
        matcher = SequenceMatcher(b=core)
        for other, other_core, other_base in forms:
            abbreviated = base == other_base and (core == base or other_core == other_base)
            similarity = 0.99 if abbreviated and core != other_core else _similarity(matcher, core, other_core)
            if core and similarity >= SIMILAR:
                pairs.append((-similarity, name, other))
    matches: dict[str, str] = {}
    used = set()
    for _, name, other in sorted(pairs):
        if name not in matches and other not in used:
            matches[name] = other
            used.add(other)
    return matches


def join_names(names: Iterable[str]) -> str | None:
    """Return names in one text, separated by `; `, or None without names; a name with `;` or `"` in it is quoted."""
    return "; ".join('"' + n.replace('"', '""') + '"' if re.search(r'[;"\r\n]|^\s', n) else n for n in names) or None


def split_names(joined: str | None) -> list[str]:
    """Return the names that `join_names` joined."""
    return [] if joined is None else next(csv.reader([joined], delimiter=";", skipinitialspace=True))


def listed(items: Sequence[str]) -> str:
    """Return the first few of the items, separated by commas, and the number of the others."""
    more = f" and {len(items) - SHORT_LIST} more" if len(items) > SHORT_LIST else ""
    return ", ".join(items[:SHORT_LIST]) + more


def _normal(name: str) -> str:
    name = name.strip()
    return unicodedata.normalize("NFC", os.path.normpath(os.path.expanduser(name)) if "/" in name else name)


def _candidate(
    name: str,
    names: Mapping[str, Sequence[str]],
    ids: Mapping[str, set[str]],
    other_names: Mapping[str, set[str]],
    what: str,
) -> str:
    """Return the id of the candidate that `name` refers to, or `name` itself if there is none."""
    if name in names:
        return name
    matches = sorted(ids.get(_normal(name)) or other_names.get(_normal(name)) or [name])
    if len(matches) > 1:
        raise EMMSError(
            f"{what}: {name!r} matches {len(matches)} candidates, {listed([repr(match) for match in matches])}; write "
            f"the full name of one of them"
        )
    return matches[0]


def _forms(name: str) -> tuple[str, str]:
    """Return a name without source, folder and spelling variants, and also without layer, tag, notes and suffix."""
    name = unicodedata.normalize("NFKC", name).casefold()
    core, notes, rest = name.partition(" (")
    core = re.sub(r"^[a-z][\w-]*:", "", core).rpartition("/")[2]
    base = re.split(r"[.@]", core)[0] or core
    return _plain(core + notes + rest), _plain(base)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).strip("-")


def _similarity(matcher: SequenceMatcher[str], name: str, other: str) -> float:
    """Return the similarity of two names from 0 to 1; matcher: of `name`, the second sequence."""
    digits, others = re.findall(r"\d", name), re.findall(r"\d", other)
    if len(digits) == len(others) and digits != others:
        return 0  # resnet18 and resnet34 are two networks, not two spellings of one
    matcher.set_seq1(other)
    near = matcher.real_quick_ratio() >= SIMILAR and matcher.quick_ratio() >= SIMILAR  # cheap upper bounds
    return matcher.ratio() if near else 0
