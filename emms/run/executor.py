"""Executors, which carry out the stages of a run; the walk determines which stages, and in what order."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from emms.errors import DamagedError, EMMSError
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
"""Fraction of the free memory that the networks of one pass may use."""

_log = logging.getLogger("emms")


class Executor(ABC):
    """Carries out stages: with `one` and `all` a failure ends the run, with `each` it only affects its own call."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.seconds: dict[str, float] = {}
        """Wall time of each phase."""
        self.computed: dict[str, list[str]] = {}
        """What was computed rather than found in the store, by the name of the stage."""

    def one(self, stage: Stage[R], *call: Any) -> R:
        """Carry out one call. Raises its exception if it fails."""
        return self.all(stage, [call])[0]

    def all(self, stage: Stage[R], calls: Sequence[Call]) -> list[R]:
        """Carry out calls, all of which must succeed. Raises the exception of the first one that fails."""
        results = self.each(stage, calls, fatal=(Exception,))
        return [result for result in results if not isinstance(result, Failed)]

    def each(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors = ()) -> list[R | Failed]:
        """Carry out independent calls; return the result of each, or its failure.

        Raises the first exception that is one of the `fatal` errors.
        """
        results = list(self._run(stage, calls, fatal))
        for call, result in zip(calls, results, strict=True):
            of = stage.of(self.workspace, *call)
            if isinstance(result, Failed):
                if not isinstance(result.cause, DamagedError):  # which the walk has computed again
                    listener.get().failed(stage.title(self.workspace, *call), result.reason)
                continue
            computed = [name for name, part in result.parts() or [(of, result)] if part.computed]
            self.computed.setdefault(stage.name, []).extend(computed)
        return results

    def has(self, stage: Stage[Any], *call: Any) -> bool:
        """Return whether the artifacts of a call are in the store."""
        return found(stage.refer(self.workspace, *call), self.workspace.store)

    def passes(self, networks: Sequence[Resolved]) -> list[list[Resolved]]:
        """Group networks into passes of as many networks as fit into memory together."""
        members = {}
        for network in networks:
            if network.key is not None:
                source = candidate(network.model, self.workspace.store, self.workspace.task.inputs())
                members[network.model.id] = Member(source, network.key, network.in_files)
        if not members:
            return []
        memory = int(PASS_MEMORY * free_memory(choose_device(self.workspace.spec.device)))
        by_id = {network.model.id: network for network in networks}
        return [[by_id[member.id] for member in together] for together in plan_passes(list(members.values()), memory)]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the time of a block as a phase of the run, and report its start to the listener."""
        listener.get().stage(name)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    @abstractmethod
    def _run(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors) -> Sequence[R | Failed]:
        """Carry out calls in any order; return their results in the order of `calls`. Raises the first fatal error."""


def reason_of(cause: BaseException) -> str:
    """Return the text of a failure for users."""
    return str(cause) if isinstance(cause, EMMSError) else f"{type(cause).__name__}: {cause}"


class Inline(Executor):
    """Carries out stages in this thread, one call after another."""

    def _run(self, stage: Stage[R], calls: Sequence[Call], fatal: Errors) -> list[R | Failed]:
        results: list[R | Failed] = []
        for call in calls:
            try:
                results.append(self._call(stage, call))
            except fatal:
                raise
            except Exception as cause:
                _log.debug("%s failed", stage.title(self.workspace, *call), exc_info=True)
                results.append(Failed(reason_of(cause), cause))
        return results

    def _call(self, stage: Stage[R], call: Call) -> R:
        return stage.make(self.workspace, *call)
