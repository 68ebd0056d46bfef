"""The stages from features to scores: moments summed up fold by fold, and one score a candidate and estimator."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import product
from operator import add
from typing import Any, cast

import numpy as np

from emms.datasets.prepare import Prepared
from emms.errors import EMMSError, EstimatorError, StoreError, UnavailableError
from emms.estimators import Estimator, MomentEstimator, UnreliableScoreWarning, all_settings, make_estimator, seeded
from emms.estimators.base import BatchEstimator
from emms.labels.embed import read_label_embeddings
from emms.labels.width import common_width
from emms.models.features import Features, find_features
from emms.moments import ClassMoments, Moments, TargetMoments
from emms.moments.folds import add_up, deal
from emms.run.references import Accumulated, Embedded, Extracted, Scored, Scoring
from emms.spec import EstimatorSpec, Spec
from emms.store import Store, address, open_store

MOMENTS_VERSION = 2
SCORE_VERSION = 2
SHARED_LABELS = 32_768
"""With more different labels, sums of features by label would outgrow the rest: each sample has a label of its own."""


def scorer_of(spec: Spec, estimator: EstimatorSpec) -> Estimator:
    """Return an estimator of the spec; where it is random and names no seed of its own, by that of the spec."""
    return make_estimator(estimator.name, **seeded(estimator.name, estimator.settings, spec.seed))


def moments_needed(spec: Spec) -> list[int]:
    """Return in how many folds an estimator of the spec wants the moments; one that wants none takes any."""
    scorers = [scorer_of(spec, estimator) for estimator in spec.estimators]
    folds = {scorer.folds for scorer in scorers if isinstance(scorer, MomentEstimator)}
    return sorted(folds - {1}) or sorted(folds)


def accumulate_moments(
    spec: Spec, features: Extracted, dataset: Prepared, labels: Sequence[Embedded], folds: int
) -> Accumulated:
    """Sum up a candidate's features, in one pass over them. Raises EstimatorError.

    Moments that outweigh the features are not kept: to sum up anew is as quick as to read them.
    """
    store = open_store(spec.store)
    key = moments_key(spec, features, dataset, labels, folds)
    accumulated = Accumulated(features=features, folds=folds, key=key, computed=False)
    if not are_kept(features, dataset, folds) or store.find("moments", key):
        return accumulated
    parts = _sum_up(spec, accumulated, dataset, labels, store)
    with store.create("moments", key) as draft:
        for fold, part in enumerate(parts):
            draft.table(_file(fold), part.to_table())
        draft.meta |= {"model": features.model.id, "samples": dataset.count}
    return accumulated.model_copy(update={"computed": True})


def are_kept(features: Extracted, dataset: Prepared, folds: int) -> bool:
    """Say whether moments are worth their room in the store: D1^2 float64 a fold, beside N D1 float32 of features."""
    return 2 * folds * features.dimension <= dataset.count


def scorings(
    spec: Spec, extracted: Iterable[Extracted], moments: Iterable[Accumulated], failed: Mapping[str, str]
) -> list[Scoring]:
    """Return the scores to be computed: of every candidate that has features and moments, by every estimator.

    failed: networks that have no features, with the reason.
    """
    features = {e.model.id: e for e in extracted if not e.failure}
    reasons = {**failed, **{e.model.id: e.failure for e in extracted if e.failure}}
    summed = {(m.features.model.id, m.folds): m for m in moments}
    wanted = []
    for model, estimator in product(spec.models, spec.estimators):
        scorer = scorer_of(spec, estimator)
        given: Accumulated | Extracted | None = features.get(model.id)
        if given is not None and scorer.reads == "source logits":
            source = model.logits()
            reason = reasons.get(source.id, "layers before a classifier have no logits").replace(source.id, model.id)
            given = features.get(source.id) or Extracted(model=source, key={}, failure=reason)
        elif isinstance(scorer, MomentEstimator):
            given = summed.get((model.id, scorer.folds if scorer.folds > 1 else moments_needed(spec)[0]))
        if given is not None:
            wanted.append(Scoring(model=model, estimator=estimator, given=given))
    return wanted


def score(spec: Spec, dataset: Prepared, scoring: Scoring, labels: Sequence[Embedded]) -> Scored:
    """Score a candidate by one estimator; where that is impossible, it is a failure of this score alone.

    Raises StoreError, UnavailableError and OSError, since the next try may be luckier.
    """
    about = {"model": scoring.model, "estimator": scoring.estimator}
    if isinstance(scoring.given, Extracted) and scoring.given.failure:
        return Scored(**about, failure=scoring.given.failure)
    store = open_store(spec.store)
    key = score_key(spec, scoring, labels)
    found = store.find("scores", key)
    if found:
        noted = found.meta
    else:
        started = time.perf_counter()
        try:
            scorer = _fitted(spec, dataset, scoring, labels, store)
        except (StoreError, UnavailableError, OSError):
            raise
        except Exception as cause:  # an estimator may be foreign code, and linear algebra has errors of its own
            reason = str(cause) if isinstance(cause, EMMSError) else f"{type(cause).__name__}: {cause}"
            return Scored(**about, failure=reason)
        with store.create("scores", key) as draft:
            draft.meta |= {"model": scoring.model.id, "estimator": scoring.estimator.id}
            draft.meta |= {"score": float(scorer.score_), "seconds": time.perf_counter() - started}
            draft.meta |= {"folds": [] if scorer.fold_scores_ is None else np.asarray(scorer.fold_scores_).tolist()}
        noted = draft.meta
    return Scored(**about, computed=not found, **{name: noted[name] for name in ("score", "folds", "seconds")})


def moments_key(
    spec: Spec, features: Extracted, dataset: Prepared, labels: Sequence[Embedded], folds: int
) -> dict[str, Any]:
    """Return what determines the moments of a candidate's features; the labels of samples are in the features' key."""
    return {
        "stage": "moments",
        "version": MOMENTS_VERSION,
        "features": address(features.key),
        "labels": [] if _labels_are_shared(dataset) else [address(label.key) for label in labels],
        "folds": folds,
        "seed": spec.seed if folds > 1 else None,
    }


def score_key(spec: Spec, scoring: Scoring, labels: Sequence[Embedded]) -> dict[str, Any]:
    """Return what determines a score."""
    scorer, estimator, given = scorer_of(spec, scoring.estimator), scoring.estimator, scoring.given.key
    if isinstance(scorer, MomentEstimator) and scorer.folds == 1:
        given = {**given, "folds": 1, "seed": None}  # however many folds' moments it adds up, they are the same
    embedded = labels if scorer.needs == "label embeddings" else []
    settings = seeded(estimator.name, estimator.settings, spec.seed)
    return {
        "stage": "score",
        "version": SCORE_VERSION,
        "given": address(given),
        "labels": [address(label.key) for label in embedded],
        "estimator": {"name": estimator.name, "version": scorer.version},
        "settings": all_settings(estimator.name, settings),
    }


def _fitted(spec: Spec, dataset: Prepared, scoring: Scoring, labels: Sequence[Embedded], store: Store) -> Estimator:
    scorer = scorer_of(spec, scoring.estimator)
    with warnings.catch_warnings():
        # What a run says about too few samples it says once, for all models: see emms.results.ranking.unreliable.
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        if isinstance(scorer, MomentEstimator):
            assert isinstance(scoring.given, Accumulated)
            moments = _moments(spec, scoring.given, dataset, labels, store)
            shared = _labels_are_shared(dataset) and scorer.needs == "label embeddings"
            embeddings = _label_embeddings(dataset, labels, store) if shared else None
            if scorer.folds > 1:
                scorer.fit_folds(moments, embeddings)
            else:
                scorer.fit_moments(reduce(add, moments), embeddings)
        else:
            assert isinstance(scoring.given, Extracted)
            features, y = _features(scoring.given, dataset, store), dataset.label_index(store)
            if isinstance(scorer, BatchEstimator):
                scorer.fit_batches(features, _label_embeddings(dataset, labels, store), y)
            elif scorer.needs == "label embeddings":
                cast(Any, scorer).fit(np.concatenate(list(features)), _label_embeddings(dataset, labels, store), y)
            else:
                scorer.fit(np.concatenate(list(features)), y)
    if not np.isfinite(scorer.score_):
        raise EstimatorError(f"estimator '{scorer.name}' gives {scorer.score_}; the features may be constant")
    return scorer


def _moments(
    spec: Spec, given: Accumulated, dataset: Prepared, labels: Sequence[Embedded], store: Store
) -> Sequence[Moments]:
    found = store.find("moments", given.key)
    if found is None:
        return _sum_up(spec, given, dataset, labels, store)
    kind: type[Moments] = ClassMoments if _labels_are_shared(dataset) else TargetMoments
    return [kind.from_table(found.table(_file(fold))) for fold in range(given.folds)]


def _sum_up(
    spec: Spec, given: Accumulated, dataset: Prepared, labels: Sequence[Embedded], store: Store
) -> Sequence[Moments]:
    features = _features(given.features, dataset, store)
    targets = None if _labels_are_shared(dataset) else _label_embeddings(dataset, labels, store)
    parts: list[Moments]
    if targets is None:
        parts = [ClassMoments(features.dimension, dataset.classes) for _ in range(given.folds)]
    else:
        parts = [TargetMoments(features.dimension, *targets.shape[1:]) for _ in range(given.folds)]
    index = dataset.label_index(store)
    add_up(parts, features, deal(index, given.folds, spec.seed), index, targets)
    return parts


def _features(extracted: Extracted, dataset: Prepared, store: Store) -> Features:
    found = find_features(store, extracted.key, dataset.count)
    if found is None:
        raise StoreError(f"features of model '{extracted.model.id}' vanished from the store; run again")
    return found


def _label_embeddings(dataset: Prepared, labels: Sequence[Embedded], store: Store) -> np.ndarray:
    """Return the embeddings of all labels by all encoders, (C, D2, K)."""
    counts = np.bincount(dataset.label_index(store), minlength=dataset.classes)
    return common_width([read_label_embeddings(store, label.key) for label in labels], counts)


def _labels_are_shared(dataset: Prepared) -> bool:
    """Say whether samples share few labels, as classes are shared: then sums by label are all one needs of them."""
    return dataset.classes <= SHARED_LABELS


def _file(fold: int) -> str:
    return f"moments-{fold}.parquet"
