"""WordNet of Debian as a dataset: definitions of nouns, by the kind of thing that they define."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.ranking.debian import debian

KINDS = {
    "04": "act",
    "05": "animal",
    "06": "artifact",
    "07": "attribute",
    "08": "body",
    "09": "cognition",
    "10": "communication",
    "11": "event",
    "12": "feeling",
    "13": "food",
    "14": "group",
    "15": "location",
    "17": "natural object",
    "18": "person",
    "19": "phenomenon",
    "20": "plant",
    "21": "possession",
    "22": "process",
    "23": "quantity",
    "24": "relation",
    "25": "shape",
    "26": "state",
    "27": "substance",
    "28": "time",
}
"""Lexicographer files of nouns, by number (manual page lexnames(5)), except 03 (the most general nouns) and 16
(motive), which are too small."""
PER_KIND, SHORTEST = 85, 4
"""Definitions per kind, and the fewest words of a definition."""


def definitions(cache: Path) -> Path:
    """Return a file of JSON Lines with the definitions of PER_KIND nouns of each kind, drawn at random."""
    target = cache / "wordnet.jsonl"
    if target.is_file():
        return target
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS.values()}
    with (_folder(cache) / "data.noun").open(encoding="latin-1") as lines:
        for kind, text in glosses(lines):
            by_kind[kind].append(text)
    rng, part = np.random.default_rng(0), target.with_suffix(".part")
    with part.open("w") as file:
        for kind, texts in by_kind.items():
            different = sorted(set(texts))
            for i in rng.choice(len(different), PER_KIND, replace=False):
                file.write(json.dumps({"text": different[i], "label": kind}) + "\n")
    return part.rename(target)


def glosses(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the definition of each noun in a data file of WordNet (format: manual page wndb(5)).

    Left out are examples of use, short definitions, those that contain a noun that they define, and other kinds.
    """
    for line in lines:
        if line.startswith(" "):  # the licence
            continue
        data, _, gloss = line.partition(" | ")
        fields = data.split(" ")
        kind, nouns = KINDS.get(fields[1]), fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        text = re.split(r'[;:]\s*"', gloss)[0].strip()
        own = any(re.search(rf"\b{re.escape(noun.replace('_', ' '))}\b", text, re.IGNORECASE) for noun in nouns)
        if kind and not own and len(text.split()) >= SHORTEST:
            yield kind, text


def words(cache: Path) -> frozenset[str]:
    """Return the words of WordNet: nouns with their irregular plurals, verbs, adjectives, adverbs."""
    found = set()
    for name in ("index.noun", "index.verb", "index.adj", "index.adv", "noun.exc"):
        with (_folder(cache) / name).open(encoding="latin-1") as lines:
            found |= {line.partition(" ")[0] for line in lines if not line.startswith(" ")}
    return frozenset(found)


def _folder(cache: Path) -> Path:
    return debian("wordnet-base", Path("usr/share/wordnet"), cache)
