"""Names that stand for classes: a table of built-in ones, and what other packages add through entry points."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from emms.errors import EMMSError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names to classes, each imported when it is first asked for.

    `kind` is what a user calls these things (in messages), `group` the entry-point group that other packages add
    theirs to, `builtin` the table `name -> "module:Class"`. A built-in name cannot be taken by another package.
    """

    def __init__(self, kind: str, group: str, builtin: dict[str, str], error: type[EMMSError] = EMMSError) -> None:
        self.kind, self.group, self._builtin, self._error = kind, group, builtin, error

    def names(self) -> list[str]:
        """Every known name: the built-in ones in their own order, then the others alphabetically."""
        added = {e.name for e in entry_points(group=self.group)} - self._builtin.keys()
        return [*self._builtin, *sorted(added)]

    def get(self, name: str) -> T:
        """Return what the name stands for.

        Raises the registry's error if the name is unknown (nearest ones offered), or if another package's entry
        point cannot be imported.
        """
        if name in self._builtin:
            return _load(self._builtin[name])
        for entry in entry_points(group=self.group):
            if entry.name == name:
                try:
                    return entry.load()
                except Exception as cause:
                    raise self._error(
                        f"{self.kind} '{name}' cannot be loaded from {entry.value}: {cause}; "
                        f"mend or uninstall the package that provides it"
                    ) from cause
        raise self._error(
            f"{self.kind} '{name}' is unknown{did_you_mean(name, self.names())} (known: {', '.join(self.names())})"
        )

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return ((name, self.get(name)) for name in self.names())


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
