"""JSON files."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.json_files import get, items, parse_json, read_json
from emms.errors import DatasetError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(data)
    return path


@given(VALUES, st.sampled_from(["utf-8", "utf-8-sig"]))
def test_content_comes_back(tmp_path_factory, value, encoding):
    path = written(tmp_path_factory.mktemp("json"), json.dumps(value).encode(encoding))
    assert read_json(path) == value


def test_of_objects_only_the_keys_that_are_needed_are_kept():
    text = '{"info": {"year": 2014}, "images": [{"id": 1, "url": "x"}, 2, "id"]}'
    assert parse_json(text, "it", {"images", "id"}) == {"images": [{"id": 1}, 2, "id"]}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not JSON"),
        (b'{"a": ', "is not JSON: .*line 1"),
        (b'{"a": NaN}', "is not JSON: NaN is not a JSON number"),
        (b"[" * 100_000, "is not JSON"),
        (b"1" * 5000, "is not JSON"),
        (b'{"caf\xe9": 1}', "is not text in UTF-8"),
        (b'[{"a": 1, "b": 2, "b": 2}]', "has an object with the key 'b' twice"),
    ],
)
def test_what_is_not_json(tmp_path, data, problem):
    path = written(tmp_path, data)
    with pytest.raises(DatasetError, match=f"'{path}' {problem}"):
        read_json(path)


def test_a_key_twice_is_an_error_even_if_the_key_is_not_needed():
    with pytest.raises(DatasetError, match="'b' twice"):
        parse_json('{"b": 1, "b": 2}', "it", {"a"})


@pytest.mark.parametrize(("path", "reason"), [("missing.json", "No such file"), (".", "a folder")])
def test_what_is_not_a_file(tmp_path, path, reason):
    with pytest.raises(DatasetError, match=reason):
        read_json(tmp_path / path)


def test_a_repeated_key_of_a_large_object_is_found_at_once():
    keys = ", ".join(f'"{number}": 0' for number in range(100_000))
    with pytest.raises(DatasetError, match="the key '99999' twice"):
        parse_json(f'{{{keys}, "99999": 1}}', "x.json")


@given(st.binary())
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = written(tmp_path_factory.mktemp("json"), data)
    with contextlib.suppress(DatasetError):
        json.dumps(read_json(path), allow_nan=False)


def test_values_of_the_right_kind():
    mapping = {"text": "a", "whole": 1, "real": 0.5, "list": [1], "object": {}}
    assert get(mapping, "text", str, "it") == "a"
    assert get(mapping, "whole", int, "it") == 1
    assert get(mapping, "real", float, "it") == 0.5
    assert get(mapping, "whole", float, "it") == 1
    assert get(mapping, "list", list, "it") == [1]
    assert get(mapping, "object", dict, "it") == {}


@pytest.mark.parametrize(
    ("mapping", "kind", "problem"),
    [
        ({"b": 1}, int, "it has no key 'a'"),
        ([1], int, "it is not an object"),
        ({"a": None}, str, "it has None at 'a', which is not text"),
        ({"a": True}, int, "it has True at 'a', which is not an integer"),
        ({"a": False}, float, "which is not a number"),
        ({"a": 1.0}, int, "which is not an integer"),
        ({"a": "1"}, int, "'1' at 'a', which is not an integer"),
        ({"a": {}}, list, "which is not a list"),
        ({"a": []}, dict, "which is not an object"),
    ],
)
def test_values_of_another_kind(mapping, kind, problem):
    with pytest.raises(DatasetError, match=problem):
        get(mapping, "a", kind, "it")


def test_items_have_places():
    content = {"data": [{"rows": [{"x": 1}, {"x": 2}]}]}
    ((place, first),) = items(content, "data", "f.json")
    assert place == "data[0]"
    assert list(items(first, "rows", "f.json", place)) == [("data[0].rows[0]", {"x": 1}), ("data[0].rows[1]", {"x": 2})]


def test_items_that_are_no_objects_are_named():
    with pytest.raises(DatasetError, match=r"data\[1\] of 'f.json' is not an object"):
        list(items({"data": [{}, 3]}, "data", "f.json"))
    with pytest.raises(DatasetError, match=r"data\[0\] of 'f.json' has no key 'rows'"):
        list(items({}, "rows", "f.json", "data[0]"))
