"""Turn the outcome of a run into its results, and write them to the output folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from emms.downstream import downstream
from emms.errors import EMMSError, ModelError
from emms.results.notes import constant_features, few_samples, missing_scores
from emms.results.ranking import RANKING, SCORES, Ranking, ordered
from emms.results.record import provenance, versions
from emms.run.agreement import agreement
from emms.run.references import Facts, Outcome, Scored
from emms.run.scoring import SCORE, SUM_UP, scorer_of
from emms.run.stages import EMBED, EXTRACT
from emms.spec import Spec


def finish(spec: Spec, outcome: Outcome) -> Ranking:
    """Build the ranking of a run and write it to the spec's output folder. Raises ModelError and StoreError."""
    ranking = build_ranking(spec, outcome)
    ranking.write(spec.output)
    return ranking


def build_ranking(spec: Spec, outcome: Outcome) -> Ranking:
    """Order the candidates by the first estimator of the spec, and evaluate the order if the spec has a truth table.

    Raises ModelError if no candidate has a score.
    """
    first = spec.estimators[0].id
    candidates = {model.id for model in spec.models}
    failed = {name: reason for name, reason in outcome.failed.items() if name in candidates}
    for result in outcome.scored:
        if result.failure and result.estimator.id == first:
            failed.setdefault(result.model.id, f"model '{result.model.id}' has no score: {result.failure}")
    scored = [(result, result.facts) for result in outcome.scored if result.score is not None and result.facts]
    ranked = [(result, facts) for result, facts in scored if result.estimator.id == first]
    if not ranked:
        raise ModelError("\n".join(["no candidate could be ranked:", *(f"  {reason}" for reason in failed.values())]))
    scores = pl.DataFrame([_score_row(spec, outcome, result, facts) for result, facts in scored], SCORES)
    folds = np.array([result.folds for result, _ in ranked]).T if all(result.folds for result, _ in ranked) else None
    rows = [_candidate_row(result, facts) for result, facts in ranked]
    proportions = outcome.samples.count if scorer_of(spec, spec.estimators[0]).proportion else None
    frame = ordered(pl.DataFrame(rows, {name: RANKING[name] for name in rows[0]}), folds, spec.seed, proportions)
    notes, evaluation, agrees = _notes(spec, outcome, frame), None, list[str]()
    if spec.truth:
        try:
            evaluation, agrees, warnings = agreement(spec, _with_missing(spec, scores))
            notes += warnings
        except EMMSError as cause:  # the models in the truth may be those that failed
            notes.append(f"the ranking could not be compared with truth '{spec.truth}': {cause}")
    record = {**_record(spec, outcome), "warnings": notes, "failed": failed, "agreement": agrees}
    return Ranking(
        frame,
        scores,
        failed=failed,
        warnings=notes,
        evaluation=evaluation,
        agreement=agrees,
        run=record,
        throughput=downstream(spec.task).throughput,
    )


def _with_missing(spec: Spec, scores: pl.DataFrame) -> pl.DataFrame:
    """Return scores with one row per candidate and estimator, null if there is no score."""
    pairs = [(spec.dataset.name, model.id, e.id) for model in spec.models for e in spec.estimators]
    every = pl.DataFrame(pairs, ["dataset", "model", "estimator"], orient="row")
    return every.join(scores, ["dataset", "model", "estimator"], how="left")


def _score_row(spec: Spec, outcome: Outcome, result: Scored, facts: Facts) -> dict[str, Any]:
    return {
        "dataset": spec.dataset.name,
        "model": result.model.id,
        "estimator": result.estimator.id,
        "score": result.score,
        "seconds": result.seconds,
        "samples": outcome.samples.count,
        "features": facts.dimension,
        "trained": result.model.trained,
    }


def _candidate_row(result: Scored, facts: Facts) -> dict[str, Any]:
    return {
        "model": result.model.id,
        "score": result.score,
        "estimator": result.estimator.id,
        "features": facts.dimension,
        "parameters_m": round(facts.parameters / 1e6, 3),
        "samples_per_second": round(facts.throughput, 1),
        "trained": result.model.trained,
    }


def _notes(spec: Spec, outcome: Outcome, frame: pl.DataFrame) -> list[str]:
    """Return warnings about the results."""
    estimators = [estimator.id for estimator in spec.estimators]
    reward_width = [estimator.id for estimator in spec.estimators if scorer_of(spec, estimator).rewards_width]
    notes = [*outcome.samples.notes, *(note for embedded in outcome.embedded for note in embedded.notes)]
    notes += [*few_samples(frame, outcome.samples.count, reward_width, estimators)]
    if outcome.samples.skipped:
        notes.append(f"{len(outcome.samples.skipped)} samples could not be read and were left out")
    constant = [result.model.id for result in outcome.scored if result.facts and result.facts.constant]
    notes += constant_features(list(dict.fromkeys(constant)))
    notes += [
        f"the layers of {result.model.id} that were best for each fold, by the scores of the other folds: "
        f"{', '.join(result.layers)}"
        for result in outcome.scored
        if result.layers and result.estimator.id == estimators[0]
    ]
    # Candidates without a score by the first estimator are among the failed ones.
    others = [result for result in outcome.scored if result.failure and result.estimator.id != estimators[0]]
    return notes + missing_scores({(r.model.id, r.estimator.id): r.failure for r in others if r.failure})


def _record(spec: Spec, outcome: Outcome) -> dict[str, Any]:
    """Return, as JSON, spec, versions, fingerprints, times, and what was computed or found in the store."""
    computed = outcome.computed
    needed = {extracted.model.id for extracted in outcome.extracted}
    not_needed = [
        network.model.id
        for network in outcome.resolved
        if network.model.id not in outcome.failed and needed.isdisjoint(layer.model.id for layer in network.apart())
    ]
    features = provenance((e.model.id for e in outcome.extracted if not e.failure), computed.get(EXTRACT.name))
    return {
        "spec": spec.model_dump(mode="json"),
        "versions": versions(),
        "dataset": _dataset(outcome),
        "weights": {network.model.id: network.key.network for network in outcome.resolved if network.key},
        "seconds": {phase: round(seconds, 3) for phase, seconds in outcome.seconds.items()},
        "label embeddings": provenance((e.encoder.id for e in outcome.embedded), computed.get(EMBED.name)),
        "features": {**features, "not needed": not_needed},
        "moments": provenance((m.name for m in outcome.moments if m.kept), computed.get(SUM_UP.name)),
        "scores": provenance((s.name for s in outcome.scored if s.score is not None), computed.get(SCORE.name)),
    }


def _dataset(outcome: Outcome) -> dict[str, Any]:
    samples = outcome.samples
    return {
        "fingerprint": samples.fingerprint,
        "samples": samples.count,
        "labels": samples.labels,
        "skipped": [bad.model_dump() for bad in samples.skipped or ()],
    }
