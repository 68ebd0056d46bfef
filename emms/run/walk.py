"""The order of the stages of a ranking run, and which failures end it; the same for every executor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emms.errors import DamagedError, DatasetError, StoreError
from emms.progress import listener
from emms.run.executor import Executor
from emms.run.references import Extracted, Outcome, Resolved, Scored, Scoring
from emms.run.scoring import SCORE, SUM_UP, networks, scorings
from emms.run.stage import Failed
from emms.run.stages import EMBED, EXTRACT, LIST, RESOLVE
from emms.spec import ModelSpec, Spec

DAMAGE_TRIES = 3
"""Maximum number of attempts if artifacts turn out to be damaged, which are then computed again."""


def rank_candidates(spec: Spec, do: Executor) -> Outcome:
    """Score the candidates of a spec, and compute what is not in the store.

    The run ends with an error if the dataset cannot be used, the labels cannot be embedded, or the store cannot be
    used. A candidate whose weights are not available, or that fails in its forward pass, is left out, and so is a score
    that cannot be computed.
    """
    for _ in range(DAMAGE_TRIES - 1):
        try:
            outcome, damaged = _walk(spec, do)
        except DamagedError:
            continue
        if not damaged:
            return outcome
    return _walk(spec, do)[0]


def _walk(spec: Spec, do: Executor) -> tuple[Outcome, bool]:
    """Return the outcome of one attempt, and whether a score is missing because an artifact was damaged."""
    with do.phase("dataset"):
        samples = do.one(LIST).samples
        for note in samples.notes:
            listener.get().warn(note)
    with do.phase("label embeddings"):
        labels = do.all(EMBED, [(encoder, samples) for encoder in spec.label_encoders])
    with do.phase("models"):
        models = networks(spec)
        resolved, failed = _split(models, do.each(RESOLVE, [(model, samples) for model in models]))
        failed |= {m.id: failed[part.id] for m in spec.models for part in m.parts if part.id in failed}
        if samples.skipped is None and not any(network.in_files for network in resolved):
            samples = samples.model_copy(update={"skipped": ()})
        scores = scorings(spec, resolved, failed)
        stored = [samples.skipped is not None and do.has(SCORE, s, samples, labels) for s in scores]
        missing = [s for s, is_stored in zip(scores, stored, strict=True) if not is_stored and not s.failure]
    with do.phase("features"):
        needed = set().union(*(s.networks for s in missing))
        layers = [layer for network in resolved for layer in network.apart()]
        passes = do.passes([network for network in layers if network.model.id in needed])
        extracting = do.each(EXTRACT, [(together, samples) for together in passes], fatal=(DatasetError, StoreError))
        extracted = list[Extracted]()
        for together, result in zip(passes, extracting, strict=True):
            if isinstance(result, Failed):
                failed |= {network.model.id: result.reason for network in together}
                continue
            extracted += result.members
            failed |= {member.model.id: member.failure for member in result.members if member.failure}
            if samples.skipped is None and result.skipped is not None:
                samples = samples.left_out(result.skipped, do.workspace.task, do.workspace.store)
    with do.phase("moments"):
        needing = {(joined.id, s.folds): joined for s in missing if s.folds for joined in s.inputs}
        sums = [(joined, folds) for (_, folds), joined in needing.items() if not joined.failure(failed)]
        summing = do.each(SUM_UP, [(joined, folds, samples, labels) for joined, folds in sums])
        no_moments = {
            (j.id, folds): r.reason for (j, folds), r in zip(sums, summing, strict=True) if isinstance(r, Failed)
        }
    with do.phase("scores"):
        # A candidate without features has no scores; one without moments has none of the scores that need them.
        for s in scores:
            if reason := _first(joined.failure(failed) for joined in s.features):
                failed.setdefault(s.model.id, reason)
        scores = [
            s.model_copy(
                update={
                    "failure": s.failure
                    or _first(joined.failure(failed) or no_moments.get((joined.id, s.folds)) for joined in s.inputs)
                }
            )
            for s in scores
            if s.model.id not in failed
        ]
        possible = [s for s in scores if not s.failure]
        scoring = do.each(SCORE, [(s, samples, labels) for s in possible])
        scored = [_without_score(s, s.failure) for s in scores if s.failure]
        for s, score in zip(possible, scoring, strict=True):
            scored.append(_without_score(s, score.reason) if isinstance(score, Failed) else score)
    outcome = Outcome(
        samples=samples,
        embedded=tuple(labels),
        resolved=tuple(resolved),
        extracted=tuple(extracted),
        moments=tuple(r for r in summing if not isinstance(r, Failed)),
        scored=tuple(scored),
        failed=failed,
        seconds=do.seconds,
        computed=do.computed,
    )
    return outcome, any(isinstance(r, Failed) and isinstance(r.cause, DamagedError) for r in (*summing, *scoring))


def _split(models: Sequence[ModelSpec], results: Sequence[Resolved | Failed]) -> tuple[list[Resolved], dict[str, str]]:
    """Return the networks whose weights are available, and the reason for each of the others."""
    resolved = [result for result in results if not isinstance(result, Failed)]
    failed = {m.id: r.reason for m, r in zip(models, results, strict=True) if isinstance(r, Failed)}
    return resolved, failed


def _first(reasons: Iterable[str | None]) -> str | None:
    return next(filter(None, reasons), None)


def _without_score(scoring: Scoring, reason: str) -> Scored:
    return Scored(model=scoring.model, estimator=scoring.estimator, failure=reason, computed=False)
