"""Definitions of nouns from a data file of WordNet."""

from __future__ import annotations

from benchmarks.ranking.wordnet import glosses

LINES = """\
  1 This software and database is being provided to you, the LICENSEE
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived to have its own distinct existence
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | a member of the genus Canis that has \
been domesticated by man; occurs in many breeds; "the dog barked all night"
02084072 05 n 01 puppy 0 001 @ 02083346 n 0000 | a young dog
02084073 05 n 02 house_cat 0 tom 0 001 @ 02083346 n 0000 | any domesticated house cat of this kind
07697537 13 n 01 hotdog 0 001 @ 02083346 n 0000 | a frankfurter served hot on a bun: "she ate two"
""".splitlines(keepends=True)


def test_definitions_without_examples_general_nouns_short_ones_and_the_noun_itself():
    assert list(glosses(iter(LINES))) == [
        ("animal", "a member of the genus Canis that has been domesticated by man; occurs in many breeds"),
        ("food", "a frankfurter served hot on a bun"),
    ]
