"""Read tables of separated values: CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Literal

from emms.datasets.text_files import lines
from emms.errors import DatasetError, did_you_mean, printable

Quoting = Literal["double", "none"]


def separated(path: str, columns: list[str], delimiter: str, quoting: Quoting) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line of each row, and its cells in these columns. The first row has the names.

    Blank lines are not rows.
    quoting: `double` for cells in double quotes, which may contain delimiters, line ends and doubled quotes; `none` if
    quotes are characters like any other.

    Raises DatasetError, with the line, if a row has more or fewer cells than the first one, or wrong quotes.
    """
    style = {"quoting": csv.QUOTE_NONE} if quoting == "none" else {"quotechar": '"'}
    reader = csv.reader((f"{line}\n" for _, line in lines(path)), delimiter=delimiter, strict=True, **style)
    places: list[int] = []
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
            yield reader.line_num, [cells[place] for place in places]
    except csv.Error as cause:
        raise DatasetError(
            f"line {reader.line_num} of '{path}' cannot be read: {cause}; fix it, choose another `quoting:`, or "
            f"convert the file to JSON Lines or Parquet"
        ) from cause


def _places(header: list[str], columns: list[str], path: str) -> list[int]:
    """Return where in the header the columns are. Raises DatasetError if one is missing or occurs twice."""
    for column in columns:
        if column not in header:
            shown = printable(", ".join(header))
            raise DatasetError(
                f"'{path}' has no column '{column}'{did_you_mean(column, header)} (its first line: {shown}); name the "
                f"right one, or choose another `delimiter:`"
            )
        if header.count(column) > 1:
            raise DatasetError(f"'{path}' has more than one column '{column}'; rename all but one")
    return [header.index(column) for column in columns]
