"""Stages of a run as plain data, and their common arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from emms.downstream import Downstream, downstream
from emms.spec import Spec
from emms.store import Key, Store


@dataclass(frozen=True)
class Workspace:
    """The spec and the opened store, which all stages of a run use."""

    spec: Spec
    store: Store

    @cached_property
    def task(self) -> Downstream:
        """The downstream task."""
        return downstream(self.spec.task, self.spec.labels)


class Reference(BaseModel):
    """Result of a stage: keys of artifacts in the store, and a few facts. Small and JSON-serialisable."""

    model_config = ConfigDict(frozen=True)

    computed: bool = True
    """Whether it was computed rather than found in the store."""

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the keys of the artifacts; None for keys that are unknown before something is downloaded."""
        return ()

    def parts(self) -> Sequence[tuple[str, Reference]]:
        """Return the references that this one consists of, each with the name of its subject; by default none."""
        return ()


R = TypeVar("R", bound=Reference)


@dataclass(frozen=True)
class Stage(Generic[R]):
    """One stage of a run. Executors carry it out: inline, not at all (dry run), or as a Prefect task."""

    name: str
    """Name of its results, such as `features`."""
    verb: str
    """First words of a task's name, such as `extract`."""
    of: Callable[..., str]
    """Returns, for a workspace and arguments, the rest of a task's name, such as `timm:resnet50`."""
    refer: Callable[..., R]
    """Returns, for a workspace and arguments, the reference with its keys. Computes and downloads nothing."""
    make: Callable[..., R]
    """Finds the artifacts in the store, or computes them, and returns the reference. Same arguments as `refer`."""
    description: str = ""
    """One sentence on what it does."""
    tag: str | None = None
    """Prefect tag, with which a server can limit concurrency."""
    downloads: bool = False
    """Whether `make` may download files without which `refer` does not know the keys."""
    hours: float = 6
    """Time limit of one call."""

    def title(self, run: Workspace, *call: Any) -> str:
        """Return the readable name of one call, such as `extract timm:resnet50`."""
        return f"{self.verb} {self.of(run, *call)}"


@dataclass(frozen=True)
class Failed:
    """A call of a stage that failed."""

    reason: str
    cause: Exception


def found(reference: Reference, store: Store) -> bool:
    """Return whether all artifacts of a reference are in the store."""
    keys = reference.artifacts(store)
    return bool(keys) and all(key is not None and store.find(key) is not None for key in keys)
