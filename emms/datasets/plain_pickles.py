"""Read pickles from untrusted sources that have nothing but lists, dictionaries, numbers and strings."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any, NoReturn

from emms.errors import DatasetError, printable
from emms.files import open_regular

_NO_ARGUMENT = b"(.012N]}aeldsu\x88\x89\x94"
_SIZES = {
    **dict.fromkeys(_NO_ARGUMENT, 0),
    **{ord("J"): 4, ord("K"): 1, ord("M"): 2, ord("G"): 8},  # numbers
    **{ord("h"): 1, ord("j"): 4, ord("q"): 1, ord("r"): 4},  # memo
    **{0x80: 1, 0x95: 8},  # protocol, frame
}
"""Bytes of the argument of each opcode that is accepted."""
_COUNTED = {ord("T"): 4, ord("U"): 1, ord("X"): 4, 0x8C: 1, 0x8A: 1}
"""Bytes of the length before the argument: of strings, and of large numbers."""
_LINES = frozenset(b"FILSVgp")
"""Opcodes with a line as argument."""
_PUTS = {ord("p"): 0, ord("r"): 4}
"""Bytes of the number under which an object is stored; 0 if it is text. That of one byte is always small."""
_STOP = ord(".")


def read_pickle(path: Path | str) -> Any:
    """Return the content of a pickle of lists, dictionaries, numbers, strings, true, false and None.

    Strings of Python 2 are read as UTF-8 or, if they are not, as Latin-1. Lists may contain themselves.

    Raises DatasetError, with the file and the byte, if it has anything else: reading it would run code of its author.
    """
    try:
        with open_regular(str(path)) as file:
            data = file.read()
    except OSError as cause:
        raise DatasetError(f"'{printable(path)}' cannot be read: {cause.strerror}; give the path of a file") from cause
    if not data.startswith(b"\x80"):  # protocol 0 is text, and may have been unpacked with the line ends of Windows
        data = data.replace(b"\r\n", b"\n")
    _check(data, path)
    try:
        try:
            return _Plain(io.BytesIO(data), encoding="utf-8").load()
        except UnicodeDecodeError:
            return _Plain(io.BytesIO(data), encoding="latin-1").load()
    except DatasetError:
        raise
    except Exception as cause:  # the unpickler raises exceptions of many types for damaged data
        raise DatasetError(f"'{path}' is a damaged pickle ({printable(cause)}); download it again") from cause


class _Plain(pickle.Unpickler):
    """Refuses what could run code once more, although `_check` has refused all opcodes that lead here."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise DatasetError(f"the pickle names {module}.{name}; only lists, dictionaries, numbers and strings are read")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise DatasetError("the pickle refers to objects elsewhere; only lists, dictionaries and numbers are read")


def _check(data: bytes, path: Path | str) -> None:
    """Raise DatasetError for an opcode that is not accepted, or that would take much more memory than the file.

    Tuples are not accepted: hashing deeply nested ones overflows the stack of the interpreter.
    """
    position, end = 0, len(data)
    while position < end:
        code = data[position]
        start, position = position, position + 1
        size = _SIZES.get(code)
        if size is None:
            if code in _LINES:
                size = data.find(b"\n", position) + 1 - position
                if size <= 0:
                    break
            elif code in _COUNTED:
                width = _COUNTED[code]
                size = width + int.from_bytes(data[position : position + width], "little")
            else:
                raise _refused(code, start, path)
        if code in _PUTS and _number(data[position : position + size], _PUTS[code]) > end:
            raise DatasetError(f"'{path}' is a damaged pickle (number of a stored object, byte {start})")
        position += size
        if code == _STOP:
            return
    raise DatasetError(f"'{path}' is a damaged pickle (it is cut off); download it again")


def _number(argument: bytes, width: int) -> int:
    """Return the number of an object in the memo, whose table takes memory in proportion to the largest number."""
    if width:
        return int.from_bytes(argument, "little")
    return int(argument) if len(argument) < 20 and argument.strip().isdigit() else len(argument) << 64


def _refused(code: int, position: int, path: Path | str) -> DatasetError:
    known = next((opcode for opcode in pickletools.opcodes if opcode.code == chr(code)), None)
    if known is None:
        return DatasetError(f"'{path}' is not a pickle (byte {position}); check that it is the right file")
    return DatasetError(
        f"'{path}' has more than lists, dictionaries, numbers and strings: a pickle with the instruction {known.name} "
        f"(byte {position}) is not read, since it can run code; check that it is the right file, from its own source"
    )
