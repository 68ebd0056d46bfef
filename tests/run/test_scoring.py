"""From features to scores: the input of estimators in a run equals that of direct calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emms
from emms.estimators import make_estimator
from emms.estimators.emms import EMMS
from emms.labels.stored import read_label_embeddings
from emms.models.features import SHARD_ROWS, find_features
from emms.moments.folds import assign_folds
from emms.run import scoring
from emms.run.executor import Inline
from emms.run.scoring import SCORE, networks, scorings
from emms.run.stage import Workspace
from emms.run.stored_source import StoredSource
from emms.run.walk import rank_candidates
from emms.spec import ModelSpec, load_spec
from emms.store import Store

WHOLE = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False}
LAYER = {**WHOLE, "layer": "blocks.0"}


def run_stages(settings, **changes):
    """Run all stages of a spec; return the executor, with its workspace, and the outcome."""
    spec = load_spec({**settings, **changes})
    do = Inline(Workspace(spec, Store(spec.store)))
    return do, rank_candidates(spec, do)


def features_of(do, outcome, model=None):
    """Return the features of a network, by default the first, and the labels, from the store."""
    store, samples = do.workspace.store, outcome.samples
    (key,) = [e.key for e in outcome.extracted if e.model.id == (model or outcome.extracted[0].model.id)]
    features = find_features(store, key, samples.shard_contents(store, SHARD_ROWS, frozenset({"image"})))
    return np.concatenate(list(features)), samples.label_index(store)


def test_the_score_equals_that_of_the_estimator_on_the_features(settings):
    do, outcome = run_stages(settings)
    X, y = features_of(do, outcome)
    Z = read_label_embeddings(do.workspace.store, outcome.embedded[0].key)[:, :, None]
    assert outcome.scored[0].score == pytest.approx(EMMS().fit(X, Z, y).score_, rel=1e-9)


def test_the_default_estimator_reads_batches_and_has_fold_scores(settings):
    do, outcome = run_stages(settings, estimators=["emms-decoded"])
    X, y = features_of(do, outcome)
    Z = read_label_embeddings(do.workspace.store, outcome.embedded[0].key)[:, :, None]
    by_hand = make_estimator("emms-decoded").fit(X, Z, y)
    assert outcome.scored[0].score == by_hand.score_
    assert outcome.scored[0].folds == tuple(by_hand.fold_scores_)


@pytest.mark.parametrize("kept", [True, False])
def test_moments_are_stored_only_if_they_are_smaller_than_the_features(settings, monkeypatch, kept):
    _, usual = run_stages(settings)
    monkeypatch.setattr(scoring, "_worth_keeping", lambda *_: kept)
    store = settings["store"] + "-2"
    _, outcome = run_stages(settings, store=store)
    assert bool(list(Path(store, "moments").rglob("manifest.json"))) == kept
    assert outcome.scored[0].score == pytest.approx(usual.scored[0].score, rel=1e-12)


def test_moments_of_several_folds_are_used_for_estimators_without_folds(settings, monkeypatch):
    monkeypatch.setattr(scoring, "_worth_keeping", lambda *_: True)
    _, outcome = run_stages(settings, estimators=["emms", "emms-cv"])
    assert [moments.folds for moments in outcome.moments] == [5]
    _, alone = run_stages(settings, store=settings["store"] + "-2")
    assert outcome.scored[0].score == pytest.approx(alone.scored[0].score, rel=1e-9)


def test_an_estimator_of_samples_reads_the_features(settings):
    do, outcome = run_stages(settings, estimators=["knn"])
    assert outcome.scored[0].score == make_estimator("knn").fit(*features_of(do, outcome)).score_


def test_an_estimator_of_logits_reads_those_of_the_classifier(settings):
    do, outcome = run_stages(settings, models=[WHOLE, LAYER], estimators=["leep"])
    logits = ModelSpec(**WHOLE).logits().id
    X, y = features_of(do, outcome, logits)
    assert X.shape[1] == 1_000
    whole, layer = sorted(outcome.scored, key=lambda s: bool(s.model.layer))
    assert whole.score == make_estimator("leep").fit(X, y).score_
    assert whole.facts.dimension == 1_024  # of the candidate, not of its logits
    assert (layer.score, layer.failure) == (None, "layers before a classifier have no logits")


def test_logits_for_an_estimator_are_not_a_candidate(settings):
    models = [WHOLE, LAYER]
    spec = load_spec({**settings, "models": models, "estimators": ["emms", "leep", "nce"]})
    assert [model.pool for model in networks(spec)] == ["auto", "auto", "logits"]
    ranking = emms.rank(spec)
    assert set(ranking.frame["model"]) == {model.id for model in spec.models}
    assert ranking.failed == {}
    note = f"no score by leep, nce for {ModelSpec(**LAYER).id}: layers before a classifier have no logits"
    assert note in ranking.warnings
    assert not any("pool logits" in said for said in ranking.warnings)


def test_a_pair_has_no_logits_and_an_estimator_of_logits_leaves_it_out(settings):
    models = [WHOLE, {"pair": [WHOLE, LAYER], "alias": "both"}]
    _, outcome = run_stages(settings, models=models, estimators=["leep"])
    failures = {scored.model.id: scored.failure for scored in outcome.scored}
    assert failures[ModelSpec(**WHOLE).id] is None
    assert failures["both"] == "a pair of networks has no classifier of its own, so it has no logits"


def test_a_failing_estimator_does_not_affect_others(settings, monkeypatch):
    monkeypatch.setattr(EMMS, "fit_moments", lambda *_: 1 / 0)
    _, outcome = run_stages(settings)
    assert outcome.scored[0].score is None
    assert outcome.scored[0].failure == "ZeroDivisionError: division by zero"


def test_a_transient_error_in_a_score_is_not_a_failure_of_the_candidate(settings, monkeypatch):
    def refuse(self, folds):
        raise OSError("connection reset")

    monkeypatch.setattr(StoredSource, "moments", refuse)
    ranking = emms.rank({**settings, "estimators": ["emms-decoded", "emms"]})
    assert len(ranking) == 1
    assert any("connection reset" in note for note in ranking.warnings)


def score_keys(settings, **changes):
    _, outcome = run_stages(settings, **changes)
    return [scored.key for scored in outcome.scored]


def test_the_key_of_a_score_does_not_depend_on_other_estimators_or_on_the_form_of_settings(settings):
    (alone,) = score_keys(settings, estimators=["emms"])
    beside, _ = score_keys(settings, estimators=["emms", "emms-cv"])
    (written,) = score_keys(settings, estimators=[{"name": "emms", "solver": "exact", "tolerance": "1e-8"}])
    assert alone == beside == written
    (other,) = score_keys(settings, estimators=[{"name": "emms", "solver": "released"}])
    assert other != alone


def test_random_estimators_depend_on_the_seed_of_the_run(settings):
    random = ["emms-decoded", "emms-cv", "linear-probe"]
    for one, other in zip(
        score_keys(settings, estimators=random), score_keys(settings, estimators=random, seed=1), strict=True
    ):
        assert one != other
    fixed = [{"name": name, "seed": 3} for name in ("emms-decoded", "linear-probe")] + ["emms", "logme"]
    assert score_keys(settings, estimators=fixed) == score_keys(settings, estimators=fixed, seed=1)


def test_the_key_of_a_score_is_known_before_anything_is_computed(settings):
    do, outcome = run_stages(settings)
    (scoring_,) = scorings(do.workspace.spec, outcome.resolved, {})
    reference = SCORE.refer(do.workspace, scoring_, outcome.samples, outcome.embedded)
    assert do.workspace.store.find(reference.key).meta.score == outcome.scored[0].score
    title = SCORE.title(do.workspace, scoring_, outcome.samples, outcome.embedded)
    assert title == f"score {ModelSpec(**LAYER).id} by emms"


def test_folds_are_stratified_and_depend_on_the_seed():
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    folds = assign_folds(labels, 5, seed=0)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) == 0
    assert (assign_folds(labels, 5, seed=0) == folds).all()
    assert (assign_folds(labels, 5, seed=1) != folds).any()


def test_the_features_of_a_pair_are_joined(settings):
    pair = {"pair": [WHOLE, LAYER], "alias": "both"}
    do, outcome = run_stages(settings, models=[pair, LAYER], estimators=["emms-decoded", "emms-cv", "knn", "logme"])
    names = [ModelSpec.model_validate(part).id for part in (WHOLE, LAYER)]
    X = np.hstack([features_of(do, outcome, name)[0] for name in names])
    _, y = features_of(do, outcome, names[0])
    Z = read_label_embeddings(do.workspace.store, outcome.embedded[0].key)[:, :, None]
    scores = {scored.estimator.id: scored for scored in outcome.scored if scored.model.id == "both"}
    assert scores["emms-decoded"].score == pytest.approx(make_estimator("emms-decoded").fit(X, Z, y).score_, rel=1e-9)
    assert scores["emms-cv"].score == pytest.approx(make_estimator("emms-cv").fit(X, Z, y).score_, rel=1e-9)
    assert scores["knn"].score == make_estimator("knn").fit(X, y).score_
    assert scores["logme"].score == pytest.approx(make_estimator("logme").fit(X, y).score_, rel=1e-9)
    assert scores["knn"].facts.dimension == X.shape[1]
    assert len(outcome.extracted) == 2  # the layer is a candidate too, and its features are computed once


def test_a_pair_fails_with_one_of_its_networks(settings):
    pair = {"pair": [LAYER, {"source": "timm", "name": "resnet10t.c3_in1k"}], "alias": "both"}
    ranking = emms.rank({**settings, "models": [pair, LAYER]})
    assert "weights of model 'timm:resnet10t.c3_in1k' are not available" in ranking.failed["both"]
    assert len(ranking.frame) == 1
