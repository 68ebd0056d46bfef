"""Read lines of text files from untrusted sources, with the number of each line for messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emms.errors import DatasetError, printable
from emms.files import open_regular

_MAX_LINE = 16 << 20  # bytes; a file without line ends should not fill the memory
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def lines(path: Path | str, fallback: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield the number of each line, from 1, and its text without the line end (LF or CRLF) and the byte order mark.

    fallback: encoding of lines that are not UTF-8, such as cp1252; characters unknown to it are replaced. Default:
    none, so that such lines are an error.

    Raises DatasetError, with the file and the line, if the file cannot be read or is not text in UTF-8.
    """
    try:
        with open_regular(str(path)) as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), 1):
                yield number, _text(line, number, path, fallback)
    except OSError as cause:
        raise DatasetError(f"'{printable(path)}' cannot be read: {cause.strerror}; give the path of a file") from cause


def _text(line: bytes, number: int, path: Path | str, fallback: str | None) -> str:
    if len(line) > _MAX_LINE:
        raise DatasetError(
            f"line {number} of '{path}' is longer than {_MAX_LINE >> 20} MB; check that it is a text file"
        )
    if number == 1:
        if line.startswith(_UTF16_BOMS):
            raise DatasetError(f"'{path}' is text in UTF-16; convert it to UTF-8")
        line = line.removeprefix(_UTF8_BOM)
    if number == 1 and not line.endswith(b"\n") and b"\r" in line.rstrip(b"\r"):  # the only line: would be one sample
        raise DatasetError(f"'{path}' has lines that end with CR alone; convert the line ends to LF or CRLF")
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return line.decode()
    except UnicodeDecodeError as cause:
        if fallback is not None:
            return line.decode(fallback, "replace")
        raise DatasetError(
            f"line {number} of '{path}' is not text in UTF-8 ({cause.reason} at byte {cause.start}); convert the file "
            f"to UTF-8, or check that it is the right file"
        ) from cause
