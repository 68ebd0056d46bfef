"""Dry run: what a run would compute and what is already in the store, without downloads and without networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from emms.run.checks import check
from emms.run.executor import Call, Inline
from emms.run.references import Extracted, Listed, Resolved
from emms.run.stage import R, Stage, Workspace, found
from emms.run.walk import rank_candidates
from emms.spec import Spec
from emms.store import Store

IN_STORE, TO_COMPUTE, TO_DOWNLOAD = "in the store", "to compute", "to download"


@dataclass(frozen=True)
class Step:
    """One artifact of a run: its stage, what it belongs to, and whether it is in the store."""

    stage: str
    of: str
    state: str


class DryRun(Inline):
    """Carries out only the listing of the samples, on which everything depends, and records what is missing."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.steps: list[Step] = []
        self.to_extract: list[Extracted] = []
        """Features to be computed."""
        self.failed: dict[str, str] = {}
        """Networks that have no features, with the reason."""

    def passes(self, networks: Sequence[Resolved]) -> list[list[Resolved]]:
        """Return one pass for all networks, regardless of memory."""
        return [list(networks)] if networks else []

    def _call(self, stage: Stage[R], call: Call) -> R:
        reference = stage.refer(self.workspace, *call)
        self._note(stage, call, reference)
        return reference

    def _note(self, stage: Stage[R], call: Call, reference: R) -> None:
        run = self.workspace
        if isinstance(reference, Listed):
            size = run.task.describe(reference.samples.labels, reference.samples.count)
            self.steps.append(Step(stage.name, stage.of(run, *call), size))
        for of, part in reference.parts() or [(stage.of(run, *call), reference)]:
            keys = part.artifacts(run.store)
            if not keys:
                continue
            state = IN_STORE if found(part, run.store) else TO_COMPUTE
            if None in keys and stage.downloads:
                state = TO_DOWNLOAD
            self.steps.append(Step(stage.name, of, state))
            if isinstance(part, Extracted) and state == TO_COMPUTE:
                self.to_extract.append(part)


def dry_run(spec: Spec) -> DryRun:
    """Return what a run would do. The dataset is listed and digested, since everything depends on it.

    The listing and the digests are written to the store if it exists; no store is created.
    Raises EMMSError as a run would before its first network.
    """
    check(spec)
    store = Store(spec.store)
    with TemporaryDirectory() as folder:  # the listing has to be stored somewhere
        do = DryRun(Workspace(spec, store if store.exists() else Store(folder)))
        do.failed = rank_candidates(spec, do).failed
    return do
