"""Pickles of lists, dictionaries, numbers and strings, and nothing else."""

import contextlib
import io
import os
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.plain_pickles import _Plain, read_pickle
from emms.errors import DatasetError
from tests.datasets.readers import mutated


def written(folder: Path, data: bytes) -> Path:
    path = folder / "refs(unc).p"
    path.write_bytes(data)
    return path


def python2(value: Any) -> bytes:
    """Return a value as Python 2 pickles it with protocol 2: strings are bytes."""
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(key) + python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, str):
        data = value.encode()
        return (b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<I", len(data))) + data
    return b"J" + struct.pack("<i", value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 80), 1 << 80) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(PLAIN, st.sampled_from([0, 1, 2, 3]))
def test_plain_values_come_back(tmp_path_factory, value, protocol):
    path = written(tmp_path_factory.getbasetemp(), pickle.dumps(value, protocol))
    assert read_pickle(path) == value


REF = {
    "ref_id": 0,
    "sentences": [{"sent": "the café " * 40, "tokens": ["the", "lady"]}],
    "split": "train",
    "ann_id": -1,
}


def test_strings_of_python_2(tmp_path):
    assert read_pickle(written(tmp_path, b"\x80\x02" + python2([REF]) + b".")) == [REF]
    assert read_pickle(written(tmp_path, b"(lp0\nS'a.jpg'\np1\naVb.jpg\np2\na.")) == ["a.jpg", "b.jpg"]


def test_strings_that_are_not_utf8_are_latin1(tmp_path):
    assert read_pickle(written(tmp_path, b"\x80\x02](U\x04caf\xe9e.")) == ["café"]


def test_text_pickles_with_line_ends_of_windows(tmp_path):
    data = pickle.dumps(["1.jpg", "2.jpg", {"a": 1.5}], 0).replace(b"\n", b"\r\n")
    assert read_pickle(written(tmp_path, data)) == ["1.jpg", "2.jpg", {"a": 1.5}]


def test_a_list_that_contains_itself(tmp_path):
    value: list[Any] = [1]
    value.append(value)
    loaded = read_pickle(written(tmp_path, pickle.dumps(value, 2)))
    assert loaded[0] == 1
    assert loaded[1] is loaded


class Call:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("/tmp/made-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [Call(), OrderedDict(a=1), np.arange(3), {1, 2}, b"bytes", (1, 2), [1, {"a": print}], 1j, range(3)],
    ids=repr,
)
def test_everything_else_is_refused(tmp_path, value, protocol):
    with pytest.raises(
        DatasetError, match=r"refs\(unc\).p' has more than lists, .* with the instruction \w+ \(byte \d+\)"
    ):
        read_pickle(written(tmp_path, pickle.dumps(value, protocol)))
    assert not os.path.exists("/tmp/made-by-a-pickle")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n.", "GLOBAL"),
        (b"(S'ls'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\no.", "GLOBAL"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02\x83\x01\x00.", "EXT2"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "EXT4"),
        (b"P1\n.", "PERSID"),
        (b"\x80\x02K\x01Q.", "BINPERSID"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "STACK_GLOBAL"),
        (b"]R.", "REDUCE"),
        (b"]}b.", "BUILD"),
        (b"]]\x81.", "NEWOBJ"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "BYTEARRAY8"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", "BINUNICODE8"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4"),
        (b")" + b"\x85" * 100_000 + b"}\x940h\x00.", "EMPTY_TUPLE"),
    ],
)
def test_instructions_that_are_refused(tmp_path, data, name):
    with pytest.raises(DatasetError, match=rf"with the instruction {name} \(byte"):
        read_pickle(written(tmp_path, data))


@pytest.mark.parametrize("data", [b"cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", b"P1\n.", b"K\x01Q."])
def test_the_unpickler_itself_refuses_them_too(data):
    with pytest.raises(DatasetError, match=r"the pickle (names os.system|refers to objects elsewhere)"):
        _Plain(io.BytesIO(data)).load()


@pytest.mark.parametrize("data", [b"]r\xff\xff\xff\x7f.", b"]p2147483647\n.", b"]p" + b"9" * 5000 + b"\n.", b"]p-1\n."])
def test_numbers_of_stored_objects_do_not_fill_the_memory(tmp_path, data):
    with pytest.raises(DatasetError, match="damaged pickle"):
        read_pickle(written(tmp_path, data))


def test_what_is_stored_once_is_shared(tmp_path):
    """A pickle of a few bytes may describe a tree that is very large when it is written out."""
    bomb = b"]q\x00" + b"".join(b"](" + b"h%c" % i * 10 + b"eq%c" % (i + 1) for i in range(50)) + b"."
    value = read_pickle(written(tmp_path, bomb))
    assert value[0] is value[9]
    assert sys.getsizeof(value) < 1000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "damaged pickle .*cut off"),
        (b"](K\x01", "damaged pickle .*cut off"),
        (b"U\xffabc.", "damaged pickle .*cut off"),
        (b"S'a.", "damaged pickle .*cut off"),
        (b"\xff\xd8", r"is not a pickle \(byte 0\)"),
        (b"}(]K\x01u.", "damaged pickle"),
        (b"a.", "damaged pickle"),
        (b"h\x00.", "damaged pickle"),
        (b"I" + b"1" * 9999 + b"\n.", "damaged pickle"),
        (b"\x80\x09N.", "damaged pickle"),
    ],
)
def test_damaged_files(tmp_path, data, problem):
    with pytest.raises(DatasetError, match=problem):
        read_pickle(written(tmp_path, data))


@pytest.mark.parametrize(("path", "reason"), [("missing.p", "No such file"), (".", "a folder")])
def test_what_is_not_a_file(tmp_path, path, reason):
    with pytest.raises(DatasetError, match=reason):
        read_pickle(tmp_path / path)


@given(st.binary() | mutated(b"\x80\x02" + python2([REF]) + b".") | mutated(pickle.dumps([REF, 1.5], 0)))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = written(tmp_path_factory.getbasetemp(), data)
    with contextlib.suppress(DatasetError):
        todo, seen = [read_pickle(path)], set()
        while todo:
            value = todo.pop()
            assert type(value) in {list, dict, int, float, str, bool, type(None)}
            if isinstance(value, list | dict) and id(value) not in seen:
                seen.add(id(value))
                todo.extend(value if isinstance(value, list) else [*value.keys(), *value.values()])
