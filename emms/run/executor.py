"""What carries out the stages of a run; the walk says which and in what order."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from emms.errors import EMMSError
from emms.hardware import choose_device, free_memory
from emms.models import candidate
from emms.models.passes import Member, plan_passes
from emms.progress import listener
from emms.run.references import Resolved
from emms.run.stage import Failed, R, Stage, Workspace, found

Call = tuple[Any, ...]
"""The arguments of one call of a stage, without the workspace."""
Errors = tuple[type[BaseException], ...]

PASS_MEMORY = 0.5
"""The part of the free memory that the networks of one pass may take."""

_log = logging.getLogger("emms")


class Executor(ABC):
    """Carries out stages: `one` and `all` where a failure ends the run, `each` where it concerns one call alone."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.seconds: dict[str, float] = {}
        """Wall time of each phase."""
        self.computed: dict[str, list[str]] = {}
        """What took work, by the name of the stage; the rest was in the store."""

    def one(self, stage: Stage[R], *call: Any) -> R:
        """Carry out one call. Raises what it raises."""
        return self.all(stage, [call])[0]

    def all(self, stage: Stage[R], calls: Sequence[Call]) -> list[R]:
        """Carry out calls, all of which must succeed. Raises what the first one raises that fails."""
        results = self.each(stage, calls, fatal=(Exception,))
        return [result for result in results if not isinstance(result, Failed)]

    def each(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors = ()) -> list[R | Failed]:
        """Carry out calls that do not depend on each other; return what each gave, or how it failed.

        Raises the first failure that is one of the `fatal` errors.
        """
        results = list(self._run(stage, calls, fatal))
        for call, result in zip(calls, results, strict=True):
            of = stage.of(self.workspace, *call)
            if isinstance(result, Failed):
                listener.get().failed(stage.title(self.workspace, *call), result.reason)
                continue
            made = [name for name, part in result.parts() or [(of, result)] if part.computed]
            self.computed.setdefault(stage.name, []).extend(made)
        return results

    def has(self, stage: Stage[Any], *call: Any) -> bool:
        """Whether the store has what a call would make."""
        return found(stage.refer(self.workspace, *call), self.workspace.store)

    def passes(self, networks: Sequence[Resolved]) -> list[list[Resolved]]:
        """Group networks into passes: as many as fit into memory together are extracted together."""
        members = {}
        for network in networks:
            if network.key is not None:
                members[network.model.id] = Member(candidate(network.model, self.workspace.store), network.key)
        if not members:
            return []
        memory = int(PASS_MEMORY * free_memory(choose_device(self.workspace.spec.device)))
        by_id = {network.model.id: network for network in networks}
        return [[by_id[member.id] for member in together] for together in plan_passes(list(members.values()), memory)]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block as a phase of the run, and tell the listener that it has begun."""
        listener.get().stage(name)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    @abstractmethod
    def _run(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors) -> Sequence[R | Failed]:
        """Carry out calls in any order; return what they gave in theirs. Raises the first fatal failure."""


def reason_of(cause: BaseException) -> str:
    """Return what a failure says to a user."""
    return str(cause) if isinstance(cause, EMMSError) else f"{type(cause).__name__}: {cause}"


class Inline(Executor):
    """Carries out stages here and now, one call after another."""

    def _run(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors) -> list[R | Failed]:
        results: list[R | Failed] = []
        for call in calls:
            try:
                results.append(stage.make(self.workspace, *call))
            except fatal:
                raise
            except Exception as cause:
                _log.debug("%s failed", stage.title(self.workspace, *call), exc_info=True)
                results.append(Failed(reason_of(cause), cause))
        return results
