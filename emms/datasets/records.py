"""Convert records of tables, such as lines of JSON, to samples of a downstream task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from emms.datasets.annotated import Row
from emms.datasets.squad import WRONG_START, start_of
from emms.downstream import Downstream
from emms.downstream.boxes import box_label, in_bins
from emms.downstream.text_question_answering import UNANSWERABLE
from emms.errors import BadSampleError, DatasetError, printable

SIZE_COLUMNS = ("width", "height")
"""Optional columns of tables with boxes: the width and height of the image in pixels."""
_EDGE = 1.0
"""Pixels by which boxes may reach outside of an image by rounding."""


class Records:
    """Convert records to rows.

    names: what the table calls each column of the task. boxes: `xywh` or `xyxy`.
    """

    def __init__(self, task: Downstream, names: Mapping[str, str], boxes: str) -> None:
        self._task, self._names, self._boxes = task, names, boxes
        self._texts = {c: f for c, f in task.columns.items() if f in {"text", "context"}}

    def rows(
        self, record: Mapping[str, Any], id_: str, where: str, source: str, size: Callable[[], tuple[int, int]]
    ) -> Iterator[Row]:
        """Yield the samples of a record: one, or one per caption.

        where: the record's place in `source`, such as `line 3`. size: returns the width and height of the image; called
        if they are needed and not in the record.

        Blank texts stay blank, and `list_rows` counts them. Raises DatasetError, with the place and the column, if a
        value is of the wrong kind.
        """
        place = f"{where} of '{source}'"
        fields: dict[str, Any] = {f: self._text(record, c, place) for c, f in self._texts.items()}
        row = Row(id=id_, label="", where=where, fields=fields)
        label = record.get(self._names[self._task.label_column])
        if self._task.label_column in self._task.columns:
            yield from self._captions(row, label, place)
        elif self._task.label_column == "box":
            yield self._box(row, record, label, place, size)
        else:
            yield self._answer(row, record, label, place)

    def _text(self, record: Mapping[str, Any], column: str, place: str) -> str:
        return as_text(record.get(self._names[column]), f"column '{self._names[column]}' in {place}")

    def _captions(self, row: Row, value: Any, place: str) -> Iterator[Row]:
        column = self._task.label_column
        captions = value if isinstance(value, list) else [value]
        for number, caption in enumerate(captions or [None]):
            text = _one_line(caption, f"column '{self._names[column]}' in {place}")
            id_ = row.id if len(captions) < 2 else f"{row.id}#{number}"
            yield replace(row, id=id_, label=text, fields={**row.fields, self._task.columns[column]: text})

    def _answer(self, row: Row, record: Mapping[str, Any], value: Any, place: str) -> Row:
        """Return the row with its class or answer; the first one if an answer is a list, or SQuAD's object of lists."""
        column, start = self._names[self._task.label_column], None
        where = f"column '{column}' in {place}"
        if self._task.label_column == "answer":
            if isinstance(value, dict) and isinstance(value.get("text"), list):
                starts = value.get("answer_start")
                start = starts[0] if isinstance(starts, list) and starts else None
                value = value["text"] or UNANSWERABLE
            if isinstance(value, list):
                value = value[0] if value else None
        text, label = as_text(value, where), _one_line(value, where)
        if "answer_start" not in self._task.columns.values():
            return replace(row, label=label)
        stated = record.get(self._names["answer_start"]) if start is None else start
        if stated is not None and type(stated) is not int:
            raise DatasetError(f"'answer_start' in {place} is {_shown(stated)}, not an integer; fix it")
        found = -1 if stated is None else start_of(text, stated, row.fields["context"])
        remark = WRONG_START if stated is not None and stated >= 0 and found < 0 and label else ""
        return replace(row, label=label, fields={**row.fields, "answer_start": found}, remark=remark)

    def _box(
        self, row: Row, record: Mapping[str, Any], value: Any, place: str, size: Callable[[], tuple[int, int]]
    ) -> Row:
        if value is None:
            return row
        where = f"column '{self._names['box']}' in {place}"
        if not isinstance(value, list) or len(value) != 4:
            raise DatasetError(f"{where} has {_shown(value)}, which is not a list of four numbers; fix it")
        left, top, right, bottom = (_number(number, where) for number in value)
        if self._boxes == "xywh":
            right, bottom = left + right, top + bottom
        stated = [record.get(self._names[name]) for name in SIZE_COLUMNS]
        try:
            width, height = size() if None in stated else (_number(s, f"the image size in {place}") for s in stated)
        except BadSampleError:
            return replace(row, problem="have a box whose image, which gives its scale, is missing or damaged")
        if not (width > 0 and height > 0):
            raise DatasetError(f"the image size in {place} is {width:g} x {height:g}; fix it")
        box = in_bins(left, top, right, bottom, width, height)
        if box is None:
            read = f"have a box that, read as `boxes: {self._boxes}`,"
            return replace(row, problem=f"{read} is empty or outside of the image")
        remark = ""
        if max(left, top, right, bottom) <= 1:
            remark = "have a box that ends within one pixel; boxes are in pixels, not relative to the image"
        elif min(left, top) < -_EDGE or right > width + _EDGE or bottom > height + _EDGE:
            remark = f"have a box that, read as `boxes: {self._boxes}`, reaches outside of the image, and is cut off"
        label = box_label(row.fields["text"], box) if row.fields["text"].strip() else row.label
        return replace(row, label=label, remark=remark)


def as_text(value: Any, where: str) -> str:
    """Return a cell as text: numbers and booleans as JSON writes them; a null cell is empty.

    Raises DatasetError, with the place `where`, if it is of another kind, or no finite number.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise DatasetError(f"{where} has {_shown(value)}, which is neither text nor a number; fix it, or name another one")


def _one_line(value: Any, where: str) -> str:
    """Return a label, which is one text: several lines would be several."""
    return " ".join(as_text(value, where).split())


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise DatasetError(f"{where} has {_shown(value)} instead of a finite number; fix it")


def _shown(value: Any) -> str:
    return printable(repr(value), 60)
