"""Read files of class names: CSV, TSV, JSON, or lines of text such as ImageNet's LOC_synset_mapping.txt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from emms.errors import DatasetError
from emms.files import open_regular

_MAX_BYTES = 64 << 20  # ImageNet's longest list has three million


def read_class_names(path: Path, labels: Collection[str]) -> dict[str, str] | list[str]:
    """Return the names in a file: a mapping from labels to names, or a list if the file has names only.

    `.json` is an object or a list, `.csv` and `.tsv` have a label and a name per row, any other file has them per line,
    separated by white space. Rows for unknown labels, such as a header, are ignored. `labels` are those of the dataset:
    in lines of text they distinguish a label from the first word of a name.
    Raises DatasetError if the file cannot be read, has none of these formats, or names a label twice.
    """
    text = _read(path)
    if path.suffix.lower() == ".json":
        names = _from_json(path, text, labels)
    elif path.suffix.lower() in {".csv", ".tsv"}:
        names = _from_table(path, text, labels)
    else:
        names = _from_lines(path, text, labels)
    if not names:
        raise DatasetError(f"class names '{path}' is empty; write a `label,name` per line")
    return names


def _read(path: Path) -> str:
    try:
        with open_regular(str(path)) as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise DatasetError(f"class names '{path}' cannot be read: {reason}; give the path of a file") from cause
    if len(data) > _MAX_BYTES:
        raise DatasetError(
            f"class names '{path}' is larger than {_MAX_BYTES >> 20} MB; give a file of labels and names"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DatasetError(f"class names '{path}' is not text in UTF-8; convert it, or give another file") from cause


def _from_json(path: Path, text: str, labels: Collection[str]) -> dict[str, str] | list[str]:
    try:
        content = json.loads(text, object_pairs_hook=tuple)  # pairs: a dict would drop repeated labels
    except (ValueError, RecursionError) as cause:
        raise DatasetError(f"class names '{path}' is not JSON: {cause}; fix it") from cause
    try:
        if isinstance(content, list):
            return [as_text(name) for name in content]
        if isinstance(content, tuple):
            return _mapping(path, ((label, as_text(name)) for label, name in content), labels)
    except ValueError as cause:
        if isinstance(cause, DatasetError):
            raise
        raise DatasetError(f"class names '{path}': {cause}") from None
    raise DatasetError(f"class names '{path}' is neither a JSON object nor a list; write {{label: name, …}}")


def _from_table(path: Path, text: str, labels: Collection[str]) -> dict[str, str] | list[str]:
    delimiters = "\t" if path.suffix.lower() == ".tsv" else ",;\t"
    for delimiter in delimiters:
        rows = _rows(path, text, delimiter)
        if rows and all(len(row) > 1 for _, row in rows):
            wrong = next((entry for entry in rows if len(entry[1]) > 2), None)
            if wrong is not None:
                raise DatasetError(
                    f"line {wrong[0]} of class names '{path}' has {len(wrong[1])} columns; write two, a label and a "
                    f"name, and put a name that has a '{delimiter}' in quotes"
                )
            return _mapping(path, ((row[0], row[1]) for _, row in rows), labels)
    rows = _rows(path, text, delimiters[0])
    wrong = next((entry for entry in rows if len(entry[1]) != 1), None)
    if wrong is not None:
        raise DatasetError(
            f"line {wrong[0]} of class names '{path}' has {len(wrong[1])} columns, unlike other lines; write a "
            f"label and a name on every line, or only a name on every line"
        )
    return [row[0].strip() for _, row in rows]


def _rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the line number at the end of each row, and its cells; blank rows are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as cause:
        raise DatasetError(f"line {reader.line_num} of class names '{path}' is not CSV: {cause}; fix it") from cause


def _from_lines(path: Path, text: str, labels: Collection[str]) -> dict[str, str] | list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [_split(line, labels) for line in lines]
    named = {label for label, _ in pairs} & set(labels)
    return _mapping(path, pairs, labels) if 2 * len(named) >= len(labels) else lines


def _split(line: str, labels: Collection[str]) -> tuple[str, str]:
    """Split a line after the longest label that it starts with, or else after its first word."""
    spaces = [i for i, character in enumerate(line) if character.isspace()]
    ends = [i for i in reversed(spaces) if line[:i] in labels] or spaces[:1] or [len(line)]
    return line[: ends[0]], line[ends[0] :]


def _mapping(path: Path, pairs: Iterable[tuple[str, str]], labels: Collection[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for label, name in ((label.strip(), name.strip()) for label, name in pairs):
        if label in labels and names.get(label, name) != name:
            raise DatasetError(
                f"class names '{path}' names '{label}' twice, '{names[label]}' and '{name}'; remove one of them"
            )
        names[label] = name
    return names


def as_text(value: Any) -> str:
    """Return a label or a name as a string. Raises ValueError if it is neither a string nor an integer."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is not text; labels and names must be text, if necessary in quotes")
