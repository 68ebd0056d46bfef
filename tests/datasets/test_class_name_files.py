"""Class names from files of all supported formats."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.class_name_files import read_class_names
from emms.errors import DatasetError

LABELS = ["n01440764", "n02119789"]
NAMES = {"n01440764": "tench, Tinca tinca", "n02119789": "kit fox"}


@pytest.fixture
def written(tmp_path):
    def write(name, content, encoding="utf-8"):
        (tmp_path / name).write_text(content, encoding=encoding, newline="")
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", 'n01440764,"tench, Tinca tinca"\nn02119789,kit fox\n'),
        ("x.csv", 'wnid,name\r\nn01440764,"tench, Tinca tinca"\r\n\r\nn02119789, kit fox\r\n'),
        ("x.csv", "n01440764;tench, Tinca tinca\nn02119789;kit fox"),
        ("x.tsv", "n01440764\ttench, Tinca tinca\nn02119789\tkit fox\n"),
        ("x.json", json.dumps(NAMES)),
        ("LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca\nn02119789 kit fox\n"),
        ("words.txt", "n01440764\ttench, Tinca tinca\nn02119789\tkit fox\n"),
        ("names", "n02119789   kit fox  \n\nn01440764 tench, Tinca tinca"),
    ],
)
def test_files_of_labels_and_names(written, name, content):
    found = read_class_names(written(name, content), LABELS)
    assert {label: found[label] for label in LABELS} == NAMES


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", '"tench, Tinca tinca"\nkit fox\n'),
        ("x.json", json.dumps(list(NAMES.values()))),
        ("x.txt", "tench, Tinca tinca\nkit fox\n"),
    ],
)
def test_files_of_names_only(written, name, content):
    assert read_class_names(written(name, content), LABELS) == list(NAMES.values())


def test_a_byte_order_mark_is_removed(written):
    found = read_class_names(written("x.csv", "cat,house cat\ndog,kit fox\n", "utf-8-sig"), ["cat", "dog"])
    assert found == {"cat": "house cat", "dog": "kit fox"}


def test_a_label_of_several_words_in_lines_of_text(written):
    path = written("x.txt", "golden retriever a dog\ngolden eagle a bird\ngolden a colour\n")
    labels = ["golden retriever", "golden eagle", "golden"]
    assert read_class_names(path, labels) == dict(zip(labels, ["a dog", "a bird", "a colour"], strict=True))


def test_names_of_integers_in_json(written):
    assert read_class_names(written("x.json", '{"0": "cat", "1": 747}'), ["0", "1"]) == {"0": "cat", "1": "747"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.csv",
            "n01440764,tench, Tinca tinca\nn02119789,kit fox\n",
            r"line 1 of .* has 3 columns; write two.*quotes",
        ),
        ("x.csv", "n01440764,tench\nkit fox\n", r"line 1 of .* has 2 columns, unlike other lines"),
        ("x.csv", "n01440764,tench\nn01440764,fox\n", r"names 'n01440764' twice, 'tench' and 'fox'; remove one"),
        ("x.txt", "n01440764 tench\nn01440764 fox\n", r"names 'n01440764' twice"),
        ("x.json", '{"n01440764": "tench", "n01440764": "fox"}', r"names 'n01440764' twice"),
        ("x.json", "{", r"x\.json' is not JSON: .*; fix it"),
        ("x.json", "[" * 100_000, r"is not JSON"),
        ("x.json", "3", r"neither a JSON object nor a list"),
        ("x.json", '{"0": ["n01440764", "tench"]}', r"\['n01440764', 'tench'\] is not text; labels and names must be"),
        ("x.json", "[null]", r"None is not text"),
        ("x.txt", " \n", r"x\.txt' is empty; write a `label,name` per line"),
        ("x.json", "{}", "is empty"),
        ("x.csv", "", "is empty"),
        ("x.csv", 'a,"' + "b" * 200_000 + '"\nc,d', "is not CSV: field larger"),
    ],
)
def test_invalid_files_raise(written, name, content, message):
    with pytest.raises(DatasetError, match=message):
        read_class_names(written(name, content), LABELS)


@pytest.mark.timeout(20)
def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere\.csv' cannot be read: No such file"):
        read_class_names(tmp_path / "nowhere.csv", LABELS)
    with pytest.raises(DatasetError, match="cannot be read: a folder, not a regular file"):
        read_class_names(tmp_path, LABELS)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="cannot be read: a named pipe"):
        read_class_names(tmp_path / "pipe", LABELS)
    (tmp_path / "latin.csv").write_bytes(b"caf\xe9,coffee")
    with pytest.raises(DatasetError, match="is not text in UTF-8; convert it"):
        read_class_names(tmp_path / "latin.csv", LABELS)
    with open(tmp_path / "large.csv", "wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(DatasetError, match="is larger than 64 MB"):
        read_class_names(tmp_path / "large.csv", LABELS)


@given(st.sampled_from(["x.csv", "x.tsv", "x.json", "x.txt"]), st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_file_gives_names_or_a_message(tmp_path_factory, name, content):
    path = tmp_path_factory.mktemp("names") / name
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    try:
        names = read_class_names(path, LABELS)
    except DatasetError:
        return
    assert all(isinstance(name, str) for name in (names.values() if isinstance(names, dict) else names))
