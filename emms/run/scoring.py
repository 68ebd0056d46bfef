"""The stages from features to scores: compute moments per fold, and score a candidate by one estimator."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from emms.datasets.samples import Samples
from emms.errors import EMMSError, EstimatorError
from emms.estimators import Estimator, MomentEstimator, UnreliableScoreWarning, all_settings, make_estimator, seeded
from emms.labels.embed import LabelsKey
from emms.models.features import JoinedFeatures
from emms.run.best_layer import Chosen, best_per_fold
from emms.run.keys import MomentsKey, MomentsMeta, ScoreKey, ScoreMeta
from emms.run.references import (
    Accumulated,
    Embedded,
    Facts,
    Joined,
    Resolved,
    Scored,
    Scoring,
    moments_name,
    score_name,
)
from emms.run.stage import Stage, Workspace
from emms.run.stored_source import StoredSource
from emms.spec import EstimatorSpec, ModelSpec, Spec

NO_CLASSIFIER = "layers before a classifier have no logits"
PAIR_LOGITS = "a pair of networks has no classifier of its own, so it has no logits"


def scorer_of(spec: Spec, estimator: EstimatorSpec) -> Estimator:
    """Return an estimator of the spec; if it has a setting `seed` that is not set, it gets that of the spec."""
    return make_estimator(estimator.name, **seeded(estimator.name, estimator.settings, spec.seed))


def networks(spec: Spec) -> list[ModelSpec]:
    """Return the networks to run: the candidates or their parts, and their classifiers if an estimator reads logits."""
    models = [part for model in spec.models for part in model.parts]
    if any(scorer_of(spec, estimator).reads == "source logits" for estimator in spec.estimators):
        models += [model.logits() for model in spec.models if model.layer is None and not model.pair]
    return list({model.id: model for model in models}.values())


def folds_needed(spec: Spec) -> list[int]:
    """Return the numbers of folds of the moments that estimators need; for 1 fold, the sum of any folds will do."""
    scorers = [scorer_of(spec, estimator) for estimator in spec.estimators]
    folds = {scorer.folds for scorer in scorers if isinstance(scorer, MomentEstimator)}
    return sorted(folds - {1}) or sorted(folds)


def scorings(spec: Spec, resolved: Sequence[Resolved], failed: Mapping[str, str]) -> list[Scoring]:
    """Return the scores to be computed: of every candidate with available weights, by every estimator.

    failed: networks whose weights are not available, with the reason.
    """
    by_id, result = {network.model.id: network for network in resolved}, []
    folds = folds_needed(spec)
    for model in spec.models:
        if not all(part.id in by_id for part in model.parts):
            continue
        features = _alternatives([by_id[part.id] for part in model.parts])
        for estimator in spec.estimators:
            scorer, logits, failure = scorer_of(spec, estimator), None, None
            if scorer.reads == "source logits":
                of_classifier = model.logits()
                if model.pair:
                    failure = PAIR_LOGITS
                elif of_classifier.id in by_id:
                    logits = _joined([by_id[of_classifier.id]])
                else:
                    failure = failed.get(of_classifier.id, NO_CLASSIFIER).replace(of_classifier.id, model.id)
            moments = 0
            if isinstance(scorer, MomentEstimator):
                moments = scorer.folds if scorer.folds > 1 else folds[0]
            result.append(
                Scoring(
                    model=model, estimator=estimator, features=features, logits=logits, folds=moments, failure=failure
                )
            )
    return result


def _alternatives(parts: Sequence[Resolved]) -> tuple[Joined, ...]:
    """Return the features of a candidate: one, or those of each layer of which the best is chosen."""
    if len(parts) > 1:
        return (_joined(parts),)
    return tuple(_joined([network]) for network in parts[0].apart())


def _joined(parts: Sequence[Resolved]) -> Joined:
    keys = tuple(network.key for network in parts if network.key)
    return Joined(models=tuple(network.model for network in parts), features=keys if len(keys) == len(parts) else None)


def _moments_key(
    run: Workspace, features: Joined, folds: int, samples: Samples, labels: Sequence[Embedded]
) -> MomentsKey | None:
    own = [] if run.task.classes else [label.key for label in labels]
    if features.features is None or None in own:
        return None
    return MomentsKey(
        features=features.addresses,
        samples=samples.identity,
        labels=tuple(key.address for key in own if key),
        folds=folds,
        seed=run.spec.seed if folds > 1 else None,
    )


def _refer_moments(
    run: Workspace, features: Joined, folds: int, samples: Samples, labels: Sequence[Embedded]
) -> Accumulated:
    return Accumulated(of=features.id, folds=folds, key=_moments_key(run, features, folds, samples, labels))


def _sum_up(run: Workspace, features: Joined, folds: int, samples: Samples, labels: Sequence[Embedded]) -> Accumulated:
    reference = _refer_moments(run, features, folds, samples, labels)
    key = reference.key
    if key is None or features.features is None or run.store.find(key) is not None:
        return reference.model_copy(update={"computed": False})
    source = StoredSource(run, samples, _keys(labels), features.features)
    if not _worth_keeping(source.batches, folds, samples):
        return reference.model_copy(update={"computed": False, "kept": False})
    with run.store.create(key) as draft:
        for name, part in zip(key.file_names(), source.sum_up(folds), strict=True):
            draft.table(name, part.to_table())
        draft.meta = MomentsMeta(model=features.id)
    return reference


def _worth_keeping(features: JoinedFeatures, folds: int, samples: Samples) -> bool:
    """Return whether moments are smaller than the features: D1^2 float64 per fold, against N D1 float32.

    Otherwise, computing them again is as fast as reading them.
    """
    return 2 * folds * features.dimension <= samples.count


SUM_UP = Stage(
    name="moments",
    verb="sum up",
    of=lambda run, features, folds, *_: moments_name(features.id, folds),
    refer=_refer_moments,
    make=_sum_up,
    description="Compute the moments of a candidate's features, per fold, in one pass over them.",
)


def _refer_score(run: Workspace, scoring: Scoring, samples: Samples, labels: Sequence[Embedded]) -> Scored:
    spec, estimator = run.spec, scoring.estimator
    scorer = scorer_of(spec, estimator)
    embedded = labels if scorer.needs == "label embeddings" else []
    key, known = None, all(joined.features is not None for joined in (*scoring.features, *scoring.inputs))
    if known and not scoring.failure and all(label.key for label in embedded):
        key = ScoreKey(
            candidate=tuple(joined.addresses for joined in scoring.features),
            features=tuple(joined.addresses for joined in scoring.inputs),
            samples=samples.identity,
            labels=tuple(label.key.address for label in embedded if label.key),
            estimator=estimator.name,
            estimator_version=scorer.version,
            settings=all_settings(estimator.name, seeded(estimator.name, estimator.settings, spec.seed)),
            # An estimator without folds adds up the moments of any folds to the same sum.
            folds_seed=spec.seed if isinstance(scorer, MomentEstimator) and scorer.folds > 1 else None,
        )
    return Scored(model=scoring.model, estimator=estimator, key=key)


def _score(run: Workspace, scoring: Scoring, samples: Samples, labels: Sequence[Embedded]) -> Scored:
    reference = _refer_score(run, scoring, samples, labels)
    if reference.key is None:
        return reference.model_copy(update={"computed": False})
    artifact = run.store.find(reference.key)
    meta = artifact.meta if artifact else None
    if meta is None:
        started = time.perf_counter()
        scorers = [_fitted_to(run, scoring, joined, samples, labels) for joined in scoring.inputs]
        layers = [str(joined.models[0].layer) for joined in scoring.inputs]
        best = best_per_fold(layers, scorers) if len(scorers) > 1 else Chosen.of(scorers[0])
        candidate = StoredSource(run, samples, (), scoring.features[-1].features or ()).batches
        meta = ScoreMeta(
            model=scoring.model.id,
            estimator=scoring.estimator.id,
            score=best.score,
            folds=best.folds,
            layers=best.layers,
            seconds=time.perf_counter() - started,
            dimension=candidate.dimension,
            parameters=candidate.parameters,
            throughput=candidate.throughput,
            constant=candidate.constant,
        )
        with run.store.create(reference.key) as draft:
            draft.meta = meta
    facts = Facts(
        dimension=meta.dimension, parameters=meta.parameters, throughput=meta.throughput, constant=meta.constant
    )
    return reference.model_copy(
        update={
            "computed": artifact is None,
            "score": meta.score,
            "folds": tuple(meta.folds),
            "layers": tuple(meta.layers),
            "seconds": meta.seconds,
            "facts": facts,
        }
    )


def _fitted_to(
    run: Workspace, scoring: Scoring, features: Joined, samples: Samples, labels: Sequence[Embedded]
) -> Estimator:
    """Return the estimator, fitted to features in the store."""
    moments = _moments_key(run, features, scoring.folds, samples, labels) if scoring.folds else None
    source = StoredSource(run, samples, _keys(labels), features.features or (), moments)
    return _fitted(scorer_of(run.spec, scoring.estimator), source)


SCORE = Stage(
    name="scores",
    verb="score",
    of=lambda run, scoring, *_: score_name(scoring.model, scoring.estimator),
    refer=_refer_score,
    make=_score,
    description="Score a candidate by one estimator.",
)


def _fitted(scorer: Estimator, source: StoredSource) -> Estimator:
    """Fit an estimator. Raises EstimatorError if it fails, and the errors of the store."""
    with warnings.catch_warnings():
        # A run has one warning about too few samples for all models: see emms.results.notes.
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        try:
            scorer.fit_source(source)
        except (EMMSError, OSError):
            raise
        except Exception as cause:  # estimators may be third-party code, and linear algebra raises other errors
            raise EstimatorError(f"{type(cause).__name__}: {cause}") from cause
    if not np.isfinite(scorer.score_):
        raise EstimatorError(f"the score of estimator '{scorer.name}' is {scorer.score_}; the features may be constant")
    return scorer


def _keys(labels: Sequence[Embedded]) -> list[LabelsKey]:
    return [label.key for label in labels if label.key is not None]
