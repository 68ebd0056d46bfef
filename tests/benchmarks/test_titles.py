"""Titles of SVG drawings, and which of them are captions."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ranking.titles import COLLECTION, Title, caption_of, chosen, read_title

SVG = """<?xml version="1.0" encoding="{encoding}"?>
{declarations}
<svg xmlns="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
     xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <title>the title of the page</title>
  <metadata><rdf:RDF><cc:Work rdf:about="">
    <dc:title>{title}</dc:title>
    <dc:creator><cc:Agent><dc:title>Ada</dc:title></cc:Agent></dc:creator>
    <dc:language>{language}</dc:language>
  </cc:Work></rdf:RDF></metadata>
  <path d="M 0 0"/>
</svg>"""


def drawing(tmp_path: Path, title: str, language: str = "en", declarations: str = "", encoding: str = "UTF-8") -> Path:
    path = tmp_path / "drawing.svg"
    text = SVG.format(title=title, language=language, declarations=declarations, encoding=encoding)
    path.write_text(text, encoding=encoding)
    return path


def test_the_title_is_that_of_the_work_and_not_of_its_author(tmp_path):
    assert read_title(drawing(tmp_path, " Bored\n  dog ")) == Title("Bored dog", "en")


def test_escapes_and_encodings(tmp_path):
    assert read_title(drawing(tmp_path, "Cats &amp; d&#246;gs", encoding="UTF-16")) == Title("Cats & dögs", "en")


def test_a_drawing_without_a_title(tmp_path):
    assert read_title(drawing(tmp_path, "", language="")) == Title()


@pytest.mark.parametrize(
    "declarations",
    ['<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>', '<!DOCTYPE svg [<!ENTITY a SYSTEM "/etc/hostname">]>'],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_entities_are_refused(tmp_path, declarations, encoding):
    assert read_title(drawing(tmp_path, "&a;", declarations=declarations, encoding=encoding)) is None


def test_a_damaged_drawing_is_refused(tmp_path):
    path = drawing(tmp_path, "dog")
    path.write_text(path.read_text().replace("</metadata>", ""))
    assert read_title(path) is None


@pytest.mark.parametrize(
    ("title", "caption"),
    [
        ("PointingHand_02 (b and w)", "pointing hand"),
        ("glace_01", "glace"),
        ("T-shirt", "t shirt"),
        ("Ça va?", "ça va"),
        ("***", ""),
    ],
)
def test_captions(title, caption):
    assert caption_of(title) == caption


def test_which_titles_are_captions():
    titles = {
        "a": Title("Bored dog 01", "en"),
        "b": Title("bored Dog", "en"),
        "c": Title("Boxes of berries with walking dogs", ""),
        "d": Title("dog", "FR"),
        "e": Title("Cavallo", "en"),
        "f": Title("Clipart by Ada - dog", "en"),
        "g": Title("Untitled", "en"),
        "h": Title("", "en"),
        "i": None,
        **{f"icon {i}": Title("box", "en") for i in range(COLLECTION + 1)},
    }
    kept, left_out = chosen(titles, {"bored", "dog", "box", "berry", "walk", "clipart", "untitled"})
    assert kept == {"a": "bored dog", "c": "boxes of berries with walking dogs"}
    assert sum(left_out.values()) + len(kept) == len(titles)
    assert left_out["without a title"] == 2
    assert left_out["not well-formed, or with entities"] == 1
    assert left_out["with the title of a picture that is used"] == 1
    assert left_out[f"with a title of more than {COLLECTION} pictures, which is that of a collection"] == COLLECTION + 1
