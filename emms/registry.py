"""Registries of plug-in classes by name: built-in classes, and those that other packages add through entry points."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from inspect import get_annotations
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from emms.errors import EMMSError, did_you_mean, printable

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names to classes, each imported on first access.

    kind: what the classes are called in messages. group: the entry-point group of classes from other packages.
    base: their base class. builtin: a table `name -> "module:Class"`. error: the exception that `get` raises.

    A class that cannot be imported does not affect the others: iteration skips it, `broken` lists it.
    Another package cannot replace a built-in class.
    """

    def __init__(
        self, kind: str, group: str, base: type, builtin: dict[str, str], error: type[EMMSError] = EMMSError
    ) -> None:
        self.kind, self.group, self._base, self._builtin, self._error = kind, group, base, builtin, error

    def names(self) -> list[str]:
        """Return all names: built-in ones in the order of `builtin`, then the others alphabetically."""
        return [*self._builtin, *sorted(self._added().keys() - self._builtin.keys())]

    def get(self, name: str) -> T:
        """Return the class with this name.

        Raises the registry's error if the name is unknown (similar names are suggested), if the class cannot be
        imported or is incomplete, or if two packages add the name.
        """
        if name in self._builtin:
            return self._checked(name, lambda: _import(self._builtin[name]))
        entries = self._added().get(name)
        if not entries:
            known = self.names()
            raise self._error(
                f"{self.kind} '{printable(name)}' is unknown{did_you_mean(name, known)} (known: {', '.join(known)})"
            )
        if len(entries) > 1:
            raise self._error(
                f"{self.kind} '{name}' is added by {len(entries)} packages: {_packages(entries)}; uninstall all but one"
            )
        return self._checked(name, entries[0].load)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Yield the name and class of everything that can be imported, in the order of `names`."""
        for name in self.names():
            try:
                loaded = self.get(name)
            except EMMSError:
                continue
            yield name, loaded

    def origin(self, name: str) -> str:
        """Return where a class comes from and the remedy if it is broken, for messages."""
        if name in self._builtin:
            return "emms itself; reinstall emms"
        return f"{_packages(self._added()[name])}; fix or uninstall that package"

    def broken(self) -> list[EMMSError]:
        """Return, for each class that cannot be used, an error that names it, its package and the reason."""
        errors = []
        for name in self.names():
            try:
                self.get(name)
            except EMMSError as error:
                errors.append(error)
        for name, entries in self._added().items():
            if name in self._builtin:
                errors.append(
                    self._error(
                        f"{self.kind} '{name}' is built into emms and cannot be replaced by "
                        f"{_packages(entries)}; fix or uninstall that package"
                    )
                )
        return errors

    def _added(self) -> dict[str, list[EntryPoint]]:
        """Return the entry points of other packages by name; more than one if several packages use the same name."""
        by_name: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            by_name.setdefault(entry.name, []).append(entry)
        return by_name

    def _checked(self, name: str, load: Callable[[], Any]) -> T:
        """Return the class that `load` returns. Raises the registry's error if it fails or the class is unusable."""
        try:
            loaded = load()
            if isinstance(loaded, type) and issubclass(loaded, BaseModel):
                loaded.model_rebuild()  # pydantic may have deferred building the class, and errors in it
        except (Exception, SystemExit) as cause:  # importing runs arbitrary code
            reason = f"{type(cause).__name__}: {printable(str(cause).strip().partition(chr(10))[0])}"
            raise self._error(f"{self.kind} '{name}' cannot be loaded ({reason}) from {self.origin(name)}") from cause
        if not (isinstance(loaded, type) and issubclass(loaded, self._base)):
            base = f"{self._base.__module__}.{self._base.__qualname__}"
            raise self._error(f"{self.kind} '{name}' is not a subclass of {base}; it comes from {self.origin(name)}")
        if missing := _undefined(loaded, self._base):
            raise self._error(
                f"{self.kind} '{name}' does not define {', '.join(missing)}; it comes from {self.origin(name)}"
            )
        return loaded  # type: ignore[return-value]


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _undefined(loaded: type, base: type) -> list[str]:
    """Return the abstract methods and the class variables of `base` that `loaded` lacks."""
    variables = [name for name, hint in get_annotations(base).items() if str(hint).startswith("ClassVar")]
    missing = {*getattr(loaded, "__abstractmethods__", ()), *(name for name in variables if not hasattr(loaded, name))}
    return sorted(missing)


def _packages(entries: list[EntryPoint]) -> str:
    """Return, for example, `package colours 1.0 (entry point colours = colours_plugin:Colours)`."""
    shown = []
    for entry in entries:
        try:
            package = f"package {entry.dist.name} {entry.dist.version}"  # type: ignore[union-attr]
        except Exception:  # its metadata is damaged
            package = "a package without a name"
        shown.append(f"{package} (entry point {entry.name} = {entry.value})")
    return "; ".join(sorted(shown))
