"""Titles of SVG drawings, and which of them are captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

COLLECTION = 5
"""A title that more pictures have is the name of a collection, such as an icon theme."""
_FUNCTION_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "into", "of", "off", "on", "or", "out", "over"}
_FUNCTION_WORDS |= {"the", "to", "under", "up", "with", "without"}
_ENDINGS = (("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"))


@dataclass
class Title:
    """The title and the language that the metadata of a drawing name; both may be empty."""

    text: str = ""
    language: str = ""


class EntityError(ValueError):
    """A drawing declares an entity."""


def read_title(path: Path) -> Title | None:
    """Return the title of an SVG drawing; None if it is not well-formed, or declares entities, which may expand."""
    found = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = found.data, _refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, EntityError):
        return None
    return Title(" ".join(found.title.split()), found.language.strip())


@dataclass
class _Reader:
    """Collects the text of the title and the language that are children of the first `Work`, which is the drawing."""

    title: str = ""
    language: str = ""
    _path: list[str] = field(default_factory=list)
    _works: int = 0

    def start(self, name: str, attributes: Any) -> None:
        self._path.append(name.rpartition(" ")[2])
        self._works += self._path[-1] == "Work"

    def end(self, name: str) -> None:
        self._path.pop()

    def data(self, text: str) -> None:
        if self._works == 1 and self._path[-2:] == ["Work", "title"]:
            self.title += text
        elif self._works == 1 and self._path[-2:] == ["Work", "language"]:
            self.language += text


def _refuse(*declaration: Any) -> None:
    raise EntityError


def chosen(titles: Mapping[str, Title | None], words: Set[str]) -> tuple[dict[str, str], Counter[str]]:
    """Return the caption of each drawing that has one, and how many are left out for each reason.

    titles: by the drawing's name. words: the words of English. A caption is a title in lower case, without numbers,
    punctuation and what is in brackets. Of several drawings with the same caption, which are often copies of each
    other, the first one has it.
    """
    captions = {name: caption_of(title.text) for name, title in titles.items() if title}
    often, kept, seen, left_out = Counter(captions.values()), dict[str, str](), set[str](), Counter[str]()
    for name, title in titles.items():
        caption = captions.get(name, "")
        if title is None:
            reason = "not well-formed, or with entities"
        elif not caption or caption == "untitled":
            reason = "without a title"
        elif caption.startswith("clipart by "):
            reason = "with the title of the drawing that they were made from ('Clipart by …')"
        elif often[caption] > COLLECTION:
            reason = f"with a title of more than {COLLECTION} pictures, which is that of a collection"
        elif title.language and not title.language.lower().startswith(("en", "all", "n/a")):
            reason = "in another language by their metadata"
        elif not all(_is_english(word, words) for word in caption.split()):
            reason = "with a word that WordNet does not know, such as foreign ones and names"
        elif caption in seen:
            reason = "with the title of a picture that is used"
        else:
            kept[name] = caption
            seen.add(caption)
            continue
        left_out[reason] += 1
    return kept, left_out


def caption_of(title: str) -> str:
    """Return a title as a caption: `PointingHand_02 (b and w)` is `pointing hand`."""
    title = re.sub(r"\(.*?\)", "", title)
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title)
    return " ".join(re.sub(r"[\W\d_]+", " ", title).lower().split())


def _is_english(word: str, words: Set[str]) -> bool:
    """Return whether a word is known, if necessary without the ending of a plural or of a verb."""
    stems = (word.removesuffix(ending) + instead for ending, instead in _ENDINGS if word.endswith(ending))
    return word in _FUNCTION_WORDS or any(stem in words for stem in stems)
