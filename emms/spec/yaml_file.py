"""Read YAML files safely: with the core schema of YAML 1.2, limits on size and depth, and the line of every value.

PyYAML scans and parses. Its conversion of scalars (YAML 1.1), and of aliases and numbers without limits, is replaced.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from emms.errors import SpecError, printable
from emms.spec.yaml_schema import CORE, MAP, SCALARS, SEQ, STR, plain_tag, value_of

MAX_BYTES = 1 << 20
"""Maximum size of a file, which takes a few seconds to read."""
MAX_DEPTH = 32
"""Maximum nesting of lists and mappings, including aliases and merge keys."""
MAX_VALUES = 50_000
"""Maximum number of values in a file, including keys and the repeats by aliases and merge keys."""

Location = tuple[int | str, ...]
"""The keys and list positions that lead to a value."""


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file, and the line of each value, counted from 1."""

    content: dict[str, Any]
    lines: dict[Location, int]


class _FileError(Exception):
    """A problem in a file, and its line."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file with one mapping. Keys are strings, as written in the file.

    Raises SpecError, with the file and the line, if the file is not a regular file of UTF-8 text, is not YAML,
    exceeds a limit, or contains duplicate keys, control characters or tags outside the core schema.
    """
    try:
        loader = _Loader(_read_text(path))
        root = loader.compose_only_document()
        values = _Values()
        content = values.build(root, (), ()) if root else None
    except _FileError as error:
        line = f", line {error.line}:" if error.line else ""
        raise SpecError(f"spec '{printable(path)}'{line} {error}") from error
    if not isinstance(content, dict) or not content:
        raise SpecError(f"spec '{printable(path)}' has no keys; it needs at least `dataset:` and `models:`")
    return YamlFile(content, values.lines)


def _read_text(path: Path) -> str:
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # opening a pipe or a device may block forever
            raise _FileError(
                f"is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}; give the path of a file"
            )
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as cause:  # ValueError: a path with a null character
        reason = getattr(cause, "strerror", None) or cause
        raise _FileError(f"cannot be read: {reason}; give the path of a YAML file") from cause
    if len(data) > MAX_BYTES:
        raise _FileError(f"is larger than {MAX_BYTES:,} bytes, which is the limit for a spec; shorten it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _FileError("is text in UTF-16; save it as UTF-8")
    if b"\0" in data:
        raise _FileError("is a binary file; give the path of a YAML file", _line_at(data, data.index(b"\0")))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise _FileError(
            f"is not text in UTF-8 ({cause.reason}); save it as UTF-8", _line_at(data, cause.start)
        ) from cause


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """Parses text to a tree of YAML nodes, in which aliases are references."""

    def __init__(self, text: str) -> None:
        self.depth = self.values = 0
        try:
            Reader.__init__(self, text)
        except ReaderError as cause:
            line = text.count("\n", 0, cause.position) + 1
            character = printable(chr(cause.character) if isinstance(cause.character, int) else cause.character)
            raise _FileError(f"contains {character}, which cannot be printed; remove it", line) from cause
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)

    def compose_only_document(self) -> yaml.Node | None:
        """Return the root of the document, or None if the file is empty."""
        try:
            root = self.get_node() if self.check_node() else None
            if self.check_node():
                second = self.peek_event().start_mark.line + 1
                raise _FileError("a second document starts with `---`; a spec is one document", second)
        except yaml.MarkedYAMLError as cause:
            raise _syntax_error(cause) from cause
        except ValueError as cause:
            raise _FileError("is not YAML: an escape or a %YAML line has an invalid number", self.line + 1) from cause
        return root

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, within the limits."""
        line = self.peek_event().start_mark.line + 1
        self.depth, self.values = self.depth + 1, self.values + 1
        _check_limits(self.depth, self.values, line)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """Return the tag of a node without an explicit one: for plain scalars by the core schema, else text."""
        if kind is yaml.ScalarNode:
            return plain_tag(value) if implicit[0] else STR
        return SEQ if kind is yaml.SequenceNode else MAP


def _syntax_error(cause: yaml.MarkedYAMLError) -> _FileError:
    mark = cause.problem_mark or cause.context_mark
    line = mark.line + 1 if mark else None
    problem = printable(cause.problem)
    if "'\\t' that cannot start any token" in problem:
        return _FileError("a tab is not allowed here; use spaces", line)
    if problem == "mapping values are not allowed here":
        return _FileError(
            "a ':' is not expected here; check the indentation, and put text that has ': ' in quotes", line
        )
    context = ""
    if cause.context and cause.context_mark and cause.context_mark.line + 1 != line:
        context = f" ({cause.context} that starts on line {cause.context_mark.line + 1})"
    return _FileError(f"is not YAML: {problem}{context}", line)


def _check_limits(depth: int, values: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise _FileError(f"values are nested more than {MAX_DEPTH} deep, which is the limit for a spec", line)
    if values > MAX_VALUES:
        raise _FileError(
            f"there are more than {MAX_VALUES:,} values, which is the limit for a spec; the values of an alias count "
            f"each time it is used",
            line,
        )


class _Values:
    """Converts a tree of YAML nodes to Python values; follows aliases and merge keys, within the limits."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self._count = 0

    def build(self, node: yaml.Node, location: Location, parents: tuple[yaml.Node, ...]) -> Any:
        """Return the value of a node. `parents`: the nodes that contain it."""
        self._enter(node, parents)
        self.lines.setdefault(location, _line(node))
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        inside = (*parents, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(entry, (*location, number), inside) for number, entry in enumerate(node.value)]
        entries = self._entries(node, parents)
        self.lines |= {(*location, key): line for key, (line, _) in entries.items()}
        return {key: self.build(value, (*location, key), inside) for key, (_, value) in entries.items()}

    def _entries(self, node: yaml.Node, parents: tuple[yaml.Node, ...]) -> dict[str, tuple[int, yaml.Node]]:
        """Return line and value of each key; a mapping's own keys take precedence over those merged by `<<`."""
        own: dict[str, tuple[int, yaml.Node]] = {}
        merged: list[yaml.Node] = []
        seen: set[str] = set()
        for key_node, value in node.value:
            key, line = _key(key_node), _line(key_node)
            if key in seen:
                raise _FileError(f"key '{printable(key)}' is already in this mapping; remove one of the two", line)
            seen.add(key)
            if key == "<<" and key_node.style is None:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                own[key] = line, value
        for source in merged:
            inside = (*parents, node)
            self._enter(source, inside)
            if not isinstance(source, yaml.MappingNode):
                raise _FileError("`<<` must be a mapping, or a list of mappings", _line(source))
            for key, entry in self._entries(source, inside).items():
                own.setdefault(key, entry)
        return own

    def _enter(self, node: yaml.Node, parents: tuple[yaml.Node, ...]) -> None:
        if any(node is parent for parent in parents):
            raise _FileError("an alias refers to a value that contains it; write the value out", _line(node))
        _check_tag(node)
        self._count += 1
        _check_limits(len(parents) + 1, self._count, _line(node))


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _FileError("a key is a list or a mapping; keys must be text", _line(node))
    _check_tag(node)
    if not node.value and node.style is None:
        raise _FileError("a key is missing before ':'", _line(node))
    return _checked_text(node)


def _scalar(node: yaml.ScalarNode) -> Any:
    try:
        return value_of(node.tag, _checked_text(node))
    except ValueError as cause:
        raise _FileError(str(cause), _line(node)) from cause


def _checked_text(node: yaml.ScalarNode) -> str:
    """Return a scalar's text. Raises _FileError if escapes in double quotes stand for control characters."""
    control = re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", node.value)
    if control:
        raise _FileError(
            f"'{printable(node.value)}' contains {printable(control[0])}, which cannot be printed; remove it",
            _line(node),
        )
    return node.value


def _check_tag(node: yaml.Node) -> None:
    collection = SEQ if isinstance(node, yaml.SequenceNode) else MAP if isinstance(node, yaml.MappingNode) else None
    if node.tag not in ([collection] if collection else [STR, *SCALARS]):
        tag = printable(node.tag.replace(CORE, "!!", 1))
        raise _FileError(f"tag '{tag}' is not allowed here; write the value without a tag", _line(node))


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
