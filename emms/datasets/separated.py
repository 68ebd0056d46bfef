"""Read tables of separated values: CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Literal

from emms.datasets.text_files import lines
from emms.errors import DatasetError, did_you_mean, printable

Quoting = Literal["double", "none"]


def separated(
    path: str, columns: Mapping[str, str], delimiter: str, quoting: Quoting
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the last line of each row, and its cells by column. The first row has the names.

    Blank lines are not rows.
    columns: the columns to read, each with the setting that names it, for messages.
    quoting: `double` for cells in double quotes, which may contain delimiters, line ends and doubled quotes; `none` if
    quotes are characters like any other.

    Raises DatasetError, with the line, if a row has more or fewer cells than the first one, or wrong quotes.
    """
    style = {"quoting": csv.QUOTE_NONE} if quoting == "none" else {"quotechar": '"'}
    reader = csv.reader((f"{line}\n" for _, line in lines(path)), delimiter=delimiter, strict=True, **style)
    places: dict[str, int] = {}
    width = 0
    try:
        for cells in reader:
            if not cells:
                continue
            if not places:
                places, width = _places(cells, columns, path), len(cells)
                continue
            if len(cells) != width:
                raise DatasetError(
                    f"line {reader.line_num} of '{path}' has {len(cells)} cells, but the first one has {width}; fix "
                    f"it, or choose another `delimiter:` or `quoting:`"
                )
            yield reader.line_num, {column: cells[place] for column, place in places.items()}
    except csv.Error as cause:
        raise DatasetError(
            f"line {reader.line_num} of '{path}' cannot be read: {cause}; fix it, choose another `quoting:`, or "
            f"convert the file to JSON Lines or Parquet"
        ) from cause


def _places(header: list[str], columns: Mapping[str, str], path: str) -> dict[str, int]:
    """Return where in the header the columns are. Raises DatasetError if one is missing or occurs twice."""
    for column, setting in columns.items():
        if column not in header:
            shown = printable(", ".join(header))
            raise DatasetError(
                f"'{path}' has no column '{column}'{did_you_mean(column, header)} (its first line: {shown}); name the "
                f"right one with `{setting}:`, or choose another `delimiter:`"
            )
        if header.count(column) > 1:
            raise DatasetError(f"'{path}' has more than one column '{column}'; rename all but one")
    return {column: header.index(column) for column in columns}
