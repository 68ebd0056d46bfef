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
from emms.models.features import Features, FeaturesKey
from emms.run.keys import MomentsKey, MomentsMeta, ScoreKey, ScoreMeta
from emms.run.references import Accumulated, Embedded, Facts, Resolved, Scored, Scoring, moments_name, score_name
from emms.run.stage import Stage, Workspace
from emms.run.stored_source import StoredSource
from emms.spec import EstimatorSpec, ModelSpec, Spec

NO_CLASSIFIER = "layers before a classifier have no logits"


def scorer_of(spec: Spec, estimator: EstimatorSpec) -> Estimator:
    """Return an estimator of the spec; if it has a setting `seed` that is not set, it gets that of the spec."""
    return make_estimator(estimator.name, **seeded(estimator.name, estimator.settings, spec.seed))


def networks(spec: Spec) -> list[ModelSpec]:
    """Return the networks to run: the candidates, and their classifiers if an estimator reads logits."""
    models = list(spec.models)
    if any(scorer_of(spec, estimator).reads == "source logits" for estimator in spec.estimators):
        models += [model.logits() for model in spec.models if model.layer is None]
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
    keys, result = {network.model.id: network.key for network in resolved}, []
    folds = folds_needed(spec)
    for model in spec.models:
        if model.id not in keys:
            continue
        for estimator in spec.estimators:
            scorer, input_model, failure = scorer_of(spec, estimator), model, None
            if scorer.reads == "source logits":
                input_model = model.logits()
                if input_model.id not in keys:
                    failure = failed.get(input_model.id, NO_CLASSIFIER).replace(input_model.id, model.id)
            moments = 0
            if isinstance(scorer, MomentEstimator):
                moments = scorer.folds if scorer.folds > 1 else folds[0]
            result.append(
                Scoring(
                    model=model,
                    estimator=estimator,
                    features=keys[model.id],
                    input=keys.get(input_model.id),
                    input_model=input_model,
                    folds=moments,
                    failure=failure,
                )
            )
    return result


def _moments_key(
    run: Workspace, features: FeaturesKey | None, folds: int, samples: Samples, labels: Sequence[Embedded]
) -> MomentsKey | None:
    own = [] if run.task.classes else [label.key for label in labels]
    if features is None or None in own:
        return None
    return MomentsKey(
        features=features.address,
        samples=samples.fingerprint,
        labels=tuple(key.address for key in own if key),
        folds=folds,
        seed=run.spec.seed if folds > 1 else None,
    )


def _refer_moments(
    run: Workspace,
    model: ModelSpec,
    features: FeaturesKey | None,
    folds: int,
    samples: Samples,
    labels: Sequence[Embedded],
) -> Accumulated:
    return Accumulated(model=model, folds=folds, key=_moments_key(run, features, folds, samples, labels))


def _sum_up(
    run: Workspace, model: ModelSpec, features: FeaturesKey, folds: int, samples: Samples, labels: Sequence[Embedded]
) -> Accumulated:
    reference = _refer_moments(run, model, features, folds, samples, labels)
    key = reference.key
    if key is None or run.store.find(key) is not None:
        return reference.model_copy(update={"computed": False})
    source = StoredSource(run, samples, _keys(labels), features)
    if not _worth_keeping(source.batches, folds, samples):
        return reference.model_copy(update={"computed": False, "kept": False})
    with run.store.create(key) as draft:
        for name, part in zip(key.file_names(), source.sum_up(folds), strict=True):
            draft.table(name, part.to_table())
        draft.meta = MomentsMeta(model=model.id)
    return reference


def _worth_keeping(features: Features, folds: int, samples: Samples) -> bool:
    """Return whether moments are smaller than the features: D1^2 float64 per fold, against N D1 float32.

    Otherwise, computing them again is as fast as reading them.
    """
    return 2 * folds * features.dimension <= samples.count


SUM_UP = Stage(
    name="moments",
    verb="sum up",
    of=lambda run, model, features, folds, *_: moments_name(model, folds),
    refer=_refer_moments,
    make=_sum_up,
    description="Compute the moments of a candidate's features, per fold, in one pass over them.",
)


def _refer_score(run: Workspace, scoring: Scoring, samples: Samples, labels: Sequence[Embedded]) -> Scored:
    spec, estimator = run.spec, scoring.estimator
    scorer = scorer_of(spec, estimator)
    embedded = labels if scorer.needs == "label embeddings" else []
    key = None
    if scoring.input and scoring.features and all(label.key for label in embedded):
        key = ScoreKey(
            candidate=scoring.features.address,
            features=scoring.input.address,
            samples=samples.fingerprint,
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
    if reference.key is None or scoring.input is None or scoring.features is None:
        return reference.model_copy(update={"computed": False})
    artifact = run.store.find(reference.key)
    meta = artifact.meta if artifact else None
    if meta is None:
        started = time.perf_counter()
        moments = _moments_key(run, scoring.input, scoring.folds, samples, labels) if scoring.folds else None
        source = StoredSource(run, samples, _keys(labels), scoring.input, moments)
        scorer = _fitted(scorer_of(run.spec, scoring.estimator), source)
        candidate = StoredSource(run, samples, (), scoring.features).batches
        meta = ScoreMeta(
            model=scoring.model.id,
            estimator=scoring.estimator.id,
            score=float(scorer.score_),
            folds=[] if scorer.fold_scores_ is None else np.asarray(scorer.fold_scores_, dtype=float).tolist(),
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
            "seconds": meta.seconds,
            "facts": facts,
        }
    )


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
