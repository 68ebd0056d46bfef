"""Lines of text files."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.text_files import lines
from emms.errors import DatasetError


def written(folder: Path, data: bytes) -> Path:
    path = folder / "lines.txt"
    path.write_bytes(data)
    return path


def test_lines_have_numbers_and_neither_byte_order_mark_nor_line_ends(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbfone\r\n\r\n zwei \xc3\xbc\nlast")
    assert list(lines(path)) == [(1, "one"), (2, ""), (3, " zwei ü"), (4, "last")]


def test_an_empty_file_has_no_lines(tmp_path):
    assert list(lines(written(tmp_path, b""))) == []


def test_only_line_feeds_end_a_line(tmp_path):
    """As editors and `wc` count, unlike str.splitlines: captions contain form feeds and Unicode line separators."""
    text = "a\x0cb\u2028c\x85d\re"
    assert list(lines(written(tmp_path, f"{text}\n{text}\r".encode()))) == [(1, text), (2, text)]


def test_carriage_returns_as_the_only_line_ends(tmp_path):
    with pytest.raises(DatasetError, match=r"lines.txt' has lines that end with CR alone; convert"):
        list(lines(written(tmp_path, b"1.jpg a dog\r2.jpg a cat\r")))


def test_bytes_that_are_not_utf8_are_an_error_that_names_the_line(tmp_path):
    path = written(tmp_path, b"fine\ncaf\xe9\n")
    with pytest.raises(DatasetError, match=rf"line 2 of '{re.escape(str(path))}' is not text in UTF-8 .*byte 3"):
        list(lines(path))


def test_or_are_read_in_the_fallback_encoding(tmp_path):
    path = written(tmp_path, b"caf\xc3\xa9\ncaf\xe9 \x81\n")
    assert list(lines(path, "cp1252")) == [(1, "café"), (2, "café \N{REPLACEMENT CHARACTER}")]


def test_utf16_is_named(tmp_path):
    with pytest.raises(DatasetError, match="UTF-16"):
        list(lines(written(tmp_path, "text".encode("utf-16"))))


@pytest.mark.parametrize(("path", "reason"), [("missing.txt", "No such file"), (".", "a folder")])
def test_what_is_not_a_file(tmp_path, path, reason):
    with pytest.raises(DatasetError, match=reason):
        list(lines(str(tmp_path / path)))


def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("emms.datasets.text_files._MAX_LINE", 1 << 20)
    with pytest.raises(DatasetError, match=r"line 2 .* is longer than 1 MB"):
        list(lines(written(tmp_path, b"x\n" + b"y" * (2 << 20))))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff"))), st.booleans())
def test_lines_come_back(tmp_path_factory, content, windows):
    end = "\r\n" if windows else "\n"
    path = written(tmp_path_factory.mktemp("lines"), "".join(line + end for line in content).encode())
    assert [text for _, text in lines(path)] == content
