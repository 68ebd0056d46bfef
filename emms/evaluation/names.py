"""Names of candidates as they appear in scores and in a truth table."""

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
"""Least similarity of two names for one to be suggested in place of the other; typing errors in a name stay above it,
different members of a family of networks mostly below."""
SHORT_LIST = 3
"""How many names a message lists before it counts the rest."""


def named_as(truth: pl.DataFrame, names: Mapping[str, Sequence[str]], what: str = "the truth") -> pl.DataFrame:
    """Return a truth table whose models are called by the ids of the candidates.

    truth: as for `evaluate`. names: further names of each candidate, by its id, such as the file name of its
    checkpoint. what: what messages call the table. Returns columns `model`, `value` and, if the table has it,
    `dataset`. Models that are no candidates keep their names. Paths are compared in their normal form, with `~`
    expanded, and all names in Unicode's normal form C. An id takes precedence over the further names of others.

    Raises EMMSError if a name of the truth fits several candidates, if two rows give a candidate different values, or
    if the table is not as described.
    """
    ids, further = defaultdict(set), defaultdict(set)
    for candidate, others in names.items():
        ids[_normal(candidate)].add(candidate)
        for other in others:
            further[_normal(other)].add(candidate)
    written = truth_table(truth, what).rename({"model": "written"})
    found = {name: _candidate(name, names, ids, further, what) for name in written["written"].unique()}
    renamed = written.with_columns(model=pl.col("written").replace_strict(found, return_dtype=pl.String))
    keys = [key for key in ("model", "dataset") if key in renamed.columns]
    for first, second in pairwise(renamed.sort(*keys, "value", "written").iter_rows(named=True)):
        if all(first[key] == second[key] for key in keys) and first["value"] != second["value"]:
            raise EMMSError(
                f"{what}: {first['written']!r} and {second['written']!r} both name candidate {first['model']!r} but "
                f"have different values, {first['value']} and {second['value']}; keep one of these rows"
            )
    return renamed.select(*keys, "value").unique().sort(*keys)


def nearest(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return for each name the most similar of the others, where one is similar; each is taken once.

    The result is ordered by similarity, most similar first.
    """
    forms = [(other, *_forms(other)) for other in sorted(set(others))]
    pairs = []
    for name in sorted(set(names)):
        core, base = _forms(name)
        matcher = SequenceMatcher(b=core)
        for other, other_core, other_base in forms:
            abbreviated = base == other_base and (core == base or other_core == other_base)
            likeness = 0.99 if abbreviated and core != other_core else _likeness(matcher, core, other_core)
            if core and likeness >= SIMILAR:
                pairs.append((-likeness, name, other))
    chosen: dict[str, str] = {}
    taken = set()
    for _, name, other in sorted(pairs):
        if name not in chosen and other not in taken:
            chosen[name] = other
            taken.add(other)
    return chosen


def join_names(names: Iterable[str]) -> str | None:
    """Return names in one text, separated by `; `, or None without names; a name that holds `;` or `"` is quoted."""
    return "; ".join('"' + n.replace('"', '""') + '"' if re.search(r'[;"\r\n]|^\s', n) else n for n in names) or None


def split_names(joined: str | None) -> list[str]:
    """Return the names that `join_names` joined."""
    return [] if joined is None else next(csv.reader([joined], delimiter=";", skipinitialspace=True))


def listed(items: Sequence[str]) -> str:
    """Return the first few of the items, separated by commas, and how many more there are."""
    more = f" and {len(items) - SHORT_LIST} more" if len(items) > SHORT_LIST else ""
    return ", ".join(items[:SHORT_LIST]) + more


def _normal(name: str) -> str:
    name = name.strip()
    return unicodedata.normalize("NFC", os.path.normpath(os.path.expanduser(name)) if "/" in name else name)


def _candidate(
    name: str,
    names: Mapping[str, Sequence[str]],
    ids: Mapping[str, set[str]],
    further: Mapping[str, set[str]],
    what: str,
) -> str:
    """Return the id of the candidate that `name` means, or `name` itself if it means none."""
    if name in names:
        return name
    found = sorted(ids.get(_normal(name)) or further.get(_normal(name)) or [name])
    if len(found) > 1:
        raise EMMSError(
            f"{what}: {name!r} fits {len(found)} candidates, {listed([repr(one) for one in found])}; write the full "
            f"name of the one that is meant"
        )
    return found[0]


def _forms(name: str) -> tuple[str, str]:
    """Return a name without source, folder and spelling variants, and also without layer, tag, notes and suffix."""
    name = unicodedata.normalize("NFKC", name).casefold()
    core, notes, rest = name.partition(" (")
    core = re.sub(r"^[a-z][\w-]*:", "", core).rpartition("/")[2]
    base = re.split(r"[.@]", core)[0] or core
    return _plain(core + notes + rest), _plain(base)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).strip("-")


def _likeness(matcher: SequenceMatcher[str], name: str, other: str) -> float:
    """Return the similarity of two names from 0 to 1; matcher: of `name`, the second sequence."""
    digits, others = re.findall(r"\d", name), re.findall(r"\d", other)
    if len(digits) == len(others) and digits != others:
        return 0  # resnet18 and resnet34 are two networks, not two spellings of one
    matcher.set_seq1(other)
    near = matcher.real_quick_ratio() >= SIMILAR and matcher.quick_ratio() >= SIMILAR  # bounds that cost less
    return matcher.ratio() if near else 0
