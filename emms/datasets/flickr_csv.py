"""CSV files of captions: Flickr30k's results.csv, and captions.txt of Flickr8k as on Kaggle."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.captions import Caption, Captions
from emms.datasets.text_files import lines
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_IMAGE, _CAPTION = {"image_name", "image"}, {"comment", "caption"}
_NUMBER_AND_CAPTION = re.compile(r"\s*\d+\s+(.*)")


class FlickrCSV(Captions):
    """A header and a row per caption: `image_name| comment_number| comment`, or with commas, as `image,caption`."""

    format: Literal["flickr30k-csv"] = "flickr30k-csv"
    path: UserPath = Field(description="The file of captions, such as results.csv of Flickr30k or captions.txt.")

    def read(self) -> Iterator[Caption]:
        """Yield the captions. Raises DatasetError, with the line, if the header is missing or a row has other cells."""
        rows = lines(self.source)
        start, header = next(((number, line) for number, line in rows if line.strip()), (1, ""))
        delimiter = "|" if "|" in header else ","
        names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
        image = next((i for i, name in enumerate(names) if name in _IMAGE), None)
        caption = next((i for i, name in enumerate(names) if name in _CAPTION), None)
        if image is None or caption is None:
            raise DatasetError(
                f"'{self.source}' starts with '{printable(header, 60)}', not with a header such as "
                f"`image_name| comment_number| comment` or `image,caption`; check that it is the right file"
            )
        table = self._bars(rows, len(names)) if delimiter == "|" else self._commas(rows, start)
        for number, cells in table:
            if len(cells) != len(names):
                raise DatasetError(
                    f"line {number} of '{self.source}' has {len(cells)} cells, unlike the header, which has "
                    f"{len(names)}; fix it"
                )
            yield Caption(cells[image].strip(), cells[caption], f"line {number}")

    def _bars(self, rows: Iterator[tuple[int, str]], count: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of lines without quoting: a caption may have quotation marks, and bars in the last cell."""
        for number, line in rows:
            if line.strip():
                cells = line.split("|", count - 1)
                # One line of Flickr30k's file lacks the bar after the caption's number.
                if len(cells) == count - 1 == 2 and (found := _NUMBER_AND_CAPTION.fullmatch(cells[1])):
                    cells = [cells[0], "", found[1]]
                yield number, cells

    def _commas(self, rows: Iterator[tuple[int, str]], start: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of rows in CSV after line `start`, with the number of the last line of each row."""
        reader = csv.reader((line + "\n" for _, line in rows), strict=True)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield start + reader.line_num, cells
        except csv.Error as cause:
            raise DatasetError(
                f"line {start + reader.line_num} of '{self.source}' is not CSV: {cause}; fix it"
            ) from cause
