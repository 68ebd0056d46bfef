"""A stage of a run as plain data, and what every stage works with."""

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
    """What every stage of a run works with: the spec, and the store, opened once."""

    spec: Spec
    store: Store

    @cached_property
    def task(self) -> Downstream:
        """The downstream task."""
        return downstream(self.spec.task)


class Reference(BaseModel):
    """What stages hand on: keys of what is in the store, and a few facts. Small, and JSON both ways."""

    model_config = ConfigDict(frozen=True)

    computed: bool = True
    """Whether it took work; False: it was in the store."""

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the keys of the artifacts; None for one that cannot be known before something is downloaded."""
        return ()

    def parts(self) -> Sequence[tuple[str, Reference]]:
        """Return the references that this one consists of, each with what it is about; nothing if it is one itself."""
        return ()


R = TypeVar("R", bound=Reference)


@dataclass(frozen=True)
class Stage(Generic[R]):
    """One stage of a run. Executors carry it out: here and now, not at all (a dry run), or as a Prefect task."""

    name: str
    """What it makes, such as `features`."""
    verb: str
    """What it does, as the first words of a task's name, such as `extract`."""
    of: Callable[..., str]
    """From a workspace and arguments to what it does that to, such as `timm:resnet50`."""
    refer: Callable[..., R]
    """From a workspace and arguments to the reference with its keys. Computes nothing and downloads nothing."""
    make: Callable[..., R]
    """From a workspace and arguments to the reference of what is then in the store: found there, or computed."""
    description: str = ""
    """What it does, in a sentence."""
    tag: str | None = None
    """By which a server can limit how many run at once."""
    downloads: bool = False
    """Whether `make` may download what `refer` then needs."""
    hours: float = 6
    """How long one call may take."""

    def title(self, run: Workspace, *call: Any) -> str:
        """Return the readable name of one call, such as `extract timm:resnet50`."""
        return f"{self.verb} {self.of(run, *call)}"


@dataclass(frozen=True)
class Failed:
    """A call of a stage that failed."""

    reason: str
    cause: BaseException


def found(reference: Reference, store: Store) -> bool:
    """Whether all that a reference names is in the store."""
    keys = reference.artifacts(store)
    return bool(keys) and all(key is not None and store.find(key) is not None for key in keys)
