"""YAML files are read by the rules of YAML 1.2, within limits."""

from __future__ import annotations

import math
import os
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emms.errors import SpecError
from emms.spec import Spec, load_spec
from emms.spec.yaml_file import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_yaml
from emms.spec.yaml_schema import MAX_NUMBER

SPEC = "dataset: {format: digits}\nmodels: [timm:resnet18]\n"


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes):
        file = tmp_path / "spec.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # the examples of the YAML 1.2.2 specification, section 10.3.2, and differences from YAML 1.1
        ("", None),
        ("null", None),
        ("Null", None),
        ("~", None),
        ("nUll", "nUll"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("0", 0),
        ("-19", -19),
        ("+12", 12),
        ("010", 10),
        ("08", 8),
        ("0o7", 7),
        ("0o10", 8),
        ("0x3A", 58),
        ("-0x3A", "-0x3A"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-8", 1e-8),
        ("6.02e23", 6.02e23),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("+.INF", math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        (".", "."),
        ("e3", "e3"),
        ("٣", "٣"),
        ("2001-12-14", "2001-12-14"),
        ("=", "="),
        ("'010'", "010"),
        ('"true"', "true"),
        ("!!str 010", "010"),
        ("!!int '010'", 10),
        ("!!float 3", 3.0),
        ("!!null ''", None),
        ('"a\\tb"', "a\tb"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("9" * MAX_NUMBER, int("9" * MAX_NUMBER)),
        (f"'{'9' * 5000}'", "9" * 5000),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written, text, value):
    read = read_yaml(written(f"key: {text}\n")).content["key"]
    assert (read, type(read)) == (value, type(value))
    assert repr(read) == repr(value)  # the sign of zero


def test_nan_is_nan(written):
    assert math.isnan(read_yaml(written("a: .nan")).content["a"])


def test_keys_are_strings_as_written(written):
    text = "010: a\ntrue: b\nnull: c\n1.50: d\n'': e\n? x\n: f\n"
    assert read_yaml(written(text)).content == dict(
        zip(["010", "true", "null", "1.50", "", "x"], "abcdef", strict=True)
    )


def test_anchors_aliases_and_merge_keys(written):
    text = """\
a: &a {x: 1, y: 1}
b: &b {y: 2, z: 2}
one: {<<: *a, x: 0}
both: {x: 0, <<: [*a, *b], z: 0}
again: [*a, *a]
text: {"<<": 1}
"""
    content = read_yaml(written(text)).content
    assert content["one"] == {"x": 0, "y": 1}
    assert content["both"] == {"x": 0, "y": 1, "z": 0}
    assert content["again"] == [{"x": 1, "y": 1}] * 2
    assert content["text"] == {"<<": 1}


def test_every_value_has_its_line(written):
    text = "# a comment\na:\n  - x\n  - y: 1\n    z: 2\nb: {c: 3,\n  d: 4}\n"
    lines = read_yaml(written(text)).lines
    assert lines == {
        (): 2,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 1): 4,
        ("a", 1, "y"): 4,
        ("a", 1, "z"): 5,
        ("b",): 6,
        ("b", "c"): 6,
        ("b", "d"): 7,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + SPEC.encode(),
        SPEC.replace("\n", "\r\n"),
        SPEC.replace("\n", "\r"),
        "---\n" + SPEC + "...\n",
        "%YAML 1.1\n---\n" + SPEC,
        "# tabs\there,\t\n" + SPEC.replace("\n", "  # and\tthere\n"),
    ],
    ids=["byte order mark", "CRLF", "CR", "marked document", "says YAML 1.1", "tabs that do not indent"],
)
def test_files_of_different_editors(written, content):
    assert load_spec(written(content)) == load_spec(written(SPEC))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (SPEC + "seed: 1\nseed: 2\n", "line 4: key 'seed' is already in this mapping; remove one"),
        (SPEC + "a: {<<: {}, <<: {}}\n", "line 3: key '<<' is already"),
        (SPEC + "010: 1\n'010': 2\n", "line 4: key '010' is already"),
        (SPEC + "[a, b]: 1\n", "line 3: a key is a list or a mapping; keys must be text"),
        (SPEC + "?\n: 1\n", "line 3: a key is missing before ':'"),
        (SPEC + "!!python/name:os.system : 1\n", "line 3: tag '!!python/name:os.system' is not allowed"),
        (
            SPEC + "a: !!python/object/apply:os.system ['true']\n",
            "line 3: tag '!!python/object/apply:os.system' is not",
        ),
        (SPEC + "a: !!python/name:os.system x\n", "line 3: tag '!!python/name:os.system' is not allowed"),
        (SPEC + "a: !mine {}\n", "line 3: tag '!mine' is not allowed"),
        (SPEC + "a: !!set {x}\n", "line 3: tag '!!set' is not allowed"),
        (SPEC + "a: !%1B[31m x\n", r"line 3: tag '!\x1b[31m' is not allowed"),
        (SPEC + "a: !!int x\n", "line 3: 'x' does not fit its tag '!!int'"),
        (SPEC + "a: {<<: 1}\n", "line 3: `<<` must be a mapping"),
        (SPEC + "a: {<<: [{}, 1]}\n", "line 3: `<<` must be a mapping"),
        (SPEC + "a: *b\n", "line 3: is not YAML: found undefined alias 'b'"),
        (SPEC + "a: &a [*a]\n", "line 3: an alias refers to a value that contains it"),
        (SPEC + "a: &a {<<: *a}\n", "line 3: an alias refers to a value that contains it"),
        (SPEC + "---\n" + SPEC, "line 3: a second document starts with `---`"),
        ("dataset:\n\tformat: digits\n", "line 2: a tab is not allowed here; use spaces"),
        ("dataset: {format: digits}\t# a comment\n", "line 1: a tab is not allowed here; use spaces"),
        (SPEC + "seed: 1\n limit: 2\n", "line 4: a ':' is not expected here; check the indentation"),
        (SPEC + "a: [1,\nb: 2\n", "line 5: is not YAML: expected ',' or ']', but got '<stream end>'"),
        (SPEC + "a: {b: c\nd: 1\n", "(while parsing a flow mapping that starts on line 3)"),
        (SPEC + 'a: "b\n', "line 4: is not YAML: found unexpected end of stream"),
        (SPEC + 'a: "\\e[31mred"\n', r"line 3: '\x1b[31mred' contains \x1b, which cannot be printed; remove it"),
        (SPEC + '"\\e[31mred": 1\n', r"line 3: '\x1b[31mred' contains \x1b, which cannot be printed; remove it"),
        (SPEC + 'a: "\\ud800"\n', r"line 3: '\ud800' contains \ud800, which cannot be printed"),
        (SPEC + 'a: "\\U00110000"\n', "line 3: is not YAML: an escape or a %YAML line has an invalid number"),
        (f"%YAML 1.{'9' * 5000}\n---\n" + SPEC, "line 1: is not YAML: an escape or a %YAML line has an invalid"),
        (SPEC + "a: \x1b[31m\n", r"line 3: contains \x1b, which cannot be printed"),
        (SPEC + "a: 1e999\n", "line 3: 1e999 is too large a number; write .inf for infinity"),
        (SPEC.encode("utf-16"), "spec.yaml' is text in UTF-16; save it as UTF-8"),
        ((SPEC + "a").encode("utf-16-be"), "line 1: is a binary file"),
        (SPEC.encode() + b"\x89PNG\r\n\x1a\n\0\0", "line 5: is a binary file; give the path of a YAML file"),
        ((SPEC + "a: café\n").encode("latin-1"), "line 3: is not text in UTF-8 (invalid continuation byte)"),
        ("", "has no keys; it needs at least `dataset:` and `models:`"),
        ("# nothing\n", "has no keys"),
        ("{}", "has no keys"),
        ("- a\n- b\n", "has no keys"),
        ("just text", "has no keys"),
        ("42", "has no keys"),
    ],
)
def test_faults_are_reported_once_with_file_and_line(written, content, complaint):
    with pytest.raises(SpecError) as refused:
        load_spec(written(content))
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("spec '")
    assert "spec.yaml'" in str(refused.value)
    assert str(refused.value).isprintable()


def nested(first: str, level: str) -> str:
    """Return nested anchors, each of which refers to the previous one: `*` in `level` becomes the alias."""
    return f"a0: &a0 {first}\n" + "".join(f"a{i}: &a{i} {level.replace('*', f'*a{i - 1}')}\n" for i in range(1, 900))


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (nested("[x]", "[*, *, *, *, *, *, *, *, *]"), f"more than {MAX_VALUES:,} values"),
        (nested("{x: 1}", "{<<: [*, *, *, *, *, *, *, *, *]}"), f"more than {MAX_VALUES:,} values"),
        (nested("{}", "{<<: [*, *, *, *, *, *, *, *, *]}"), f"more than {MAX_VALUES:,} values"),
        (nested("[x]", "[*]"), f"nested more than {MAX_DEPTH} deep"),
        (nested("{x: 1}", "{<<: *}"), f"nested more than {MAX_DEPTH} deep"),
        ("a: " + "[" * 3000, f"nested more than {MAX_DEPTH} deep"),
        ("a: " + "{b: " * 3000, f"nested more than {MAX_DEPTH} deep"),
        ("a:\n" + "".join(f"{' ' * i}-\n" for i in range(600)), f"nested more than {MAX_DEPTH} deep"),
        ("- " * 3000, f"nested more than {MAX_DEPTH} deep"),
        ("a: [" + "1," * MAX_VALUES + "]", f"more than {MAX_VALUES:,} values"),
        ("a: " + "9" * 5000, f"5,000 characters; {MAX_NUMBER} is the limit. If it is text, put it in quotes"),
        ("a: 0." + "3" * 5000, f"5,002 characters; {MAX_NUMBER} is the limit"),
        ("#" * (MAX_BYTES + 1), f"larger than {MAX_BYTES:,} bytes, which is the limit"),
    ],
)
def test_limits_are_reported_without_hanging(written, content, limit):
    file, started = written(content), time.monotonic()
    with pytest.raises(SpecError, match="limit") as refused:
        load_spec(file)
    assert limit in str(refused.value)
    assert len(str(refused.value)) < 500
    assert time.monotonic() - started < 60  # seconds, for machines that do much else; it takes less than 3


def test_a_file_at_the_limits_is_read(written):
    names = "".join(f"  {i}: a class name of some length\n" for i in range(21_841))  # ImageNet-21k
    content = read_yaml(written("names:\n" + names)).content["names"]
    assert len(content) == 21_841
    depth = MAX_DEPTH - 2
    assert read_yaml(written("a: " + "[" * depth + "x" + "]" * depth)).content


def test_files_that_are_not_regular_raise_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in {
        tmp_path / "fifo": "is not a regular file",
        tmp_path / "link": "is not a regular file",
        tmp_path: "is a folder",
        tmp_path / "none.yaml": "cannot be read: No such file",
        tmp_path / "loop": "cannot be read: Too many levels of symbolic links",
        tmp_path / ("x" * 5000): "cannot be read: File name too long",
        "a\0b": "cannot be read: embedded null byte",
        "\x1b[31m": r"'\x1b[31m' cannot be read",
        "": "is a folder",
    }.items():
        with pytest.raises(SpecError) as refused:
            load_spec(path)
        assert reason in str(refused.value)
        assert str(refused.value).isprintable()


PIECES = [
    *(
        "dataset: {format: digits}",
        "models: [timm:resnet18]",
        "- timm:x",
        "models:",
        "seed: ",
        "estimators: ",
        "limit: ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "? ",
        "- ",
        "\n",
        "\n ",
        "\n  ",
        "\t",
        "|",
        ">",
        "#",
        "---",
        "...",
        "%YAML 1.2",
        "%",
    ),
    *(
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!!int ",
        "!",
        "!!python/name:os.system ",
        '"',
        "'",
        "\\",
        '"\\e[31m"',
        '"\\ud800"',
    ),
    *(
        "010",
        "1:30",
        "1e-8",
        "0o8",
        ".nan",
        ".inf",
        "~",
        "null",
        "yes",
        "true",
        "9" * 200,
        "\r",
        "\u2028",
        "\ufeff",
        "é",
    ),
]


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: "".join(p).encode()))
@example(b"\xff")
@example(b"a: &a !!map {? *a : 1}")
def test_any_file_gives_a_spec_or_a_spec_error(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    for start in (b"", SPEC.encode()):
        file.write_bytes(start + content)
        try:
            outcome = load_spec(file)
        except SpecError as error:
            outcome = str(error)
        assert isinstance(outcome, Spec) or outcome.replace("\n", "").isprintable()
