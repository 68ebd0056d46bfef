"""The same fault has the same outcome inline and as a flow, since the walk determines which failures end a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import emms
from emms.errors import DatasetError, EMMSError, EstimatorError, LabelEncoderError, ModelError, SpecError, StoreError
from emms.estimators.logme import LogME
from emms.models import extraction
from emms.moments import ClassMoments
from emms.run import executor, scoring
from emms.run.finish import build_ranking
from emms.spec import load_spec
from emms.store import Store
from tasks.executor import as_task
from tasks.policies import RETRIES

pytestmark = pytest.mark.usefixtures("prefect_server")

RESNET = {"source": "timm", "name": "resnet10t", "pretrained": False}
MOBILENET = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False}
BOTH = ["timm:mobilenetv3_small_050 (untrained, seed 0)", "timm:resnet10t (untrained, seed 0)"]


@pytest.fixture(autouse=True)
def one_network_per_pass_and_no_retries(monkeypatch):
    monkeypatch.setattr(executor, "PASS_MEMORY", 0.0)
    monkeypatch.setitem(RETRIES, "retries", 0)
    as_task.cache_clear()
    yield
    as_task.cache_clear()


@pytest.fixture(params=["inline", "flow"])
def outcome(request, settings):
    """Run a spec; return the candidates with their scores, failures and warnings, or the error raised."""

    def run(**changes: Any) -> tuple[Any, dict[str, str], list[str]] | EMMSError:
        from flows.rank import rank as flow

        spec = load_spec({**settings, "models": [RESNET, MOBILENET], "estimators": ["logme", "knn"], **changes})
        try:
            if request.param == "inline":
                ranking = emms.rank(spec)
            else:
                state: Any = flow(spec, return_state=True)
                ranking = build_ranking(spec, state.result())
                assert state.name == ("CompletedWithFailures" if ranking.failed else "Completed")
        except EMMSError as error:
            return error
        scores = ranking.scores.group_by("model").agg("estimator").sort("model")
        return {m: sorted(e) for m, e in scores.iter_rows()}, ranking.failed, ranking.warnings

    return run


def failing_on_call(number: int, usual: Any, error: Exception) -> Any:
    """Return a function that fails on one call and otherwise works as usual."""
    calls = []

    def patched(*arguments: Any, **settings: Any) -> Any:
        calls.append(None)
        if len(calls) == number:
            raise error
        return usual(*arguments, **settings)

    return patched


def test_a_dataset_that_cannot_be_listed_ends_the_run(outcome, photos):
    photos.rename(photos.parent / "elsewhere")
    ended = outcome()
    assert isinstance(ended, DatasetError)
    assert "does not exist" in str(ended)


def test_labels_that_cannot_be_embedded_end_the_run(outcome, photos):
    (photos / "cherry").rename(photos / "qzxqzx")
    ended = outcome()
    assert isinstance(ended, LabelEncoderError)
    assert "qzxqzx" in str(ended)


def test_a_network_that_cannot_be_resolved_leaves_the_others(outcome, monkeypatch):
    from emms.models.timm_network import TimmNetwork

    monkeypatch.setattr(TimmNetwork, "network", failing_on_call(1, TimmNetwork.network, ModelError("no weights today")))
    scores, failed, _ = outcome()
    assert scores == {BOTH[0]: ["knn", "logme"]}
    assert failed == {BOTH[1]: "no weights today"}


@pytest.mark.parametrize("error", [DatasetError("sample 'x' has changed"), StoreError("the disk is full")])
def test_samples_or_a_store_that_fail_in_the_second_pass_end_the_run(outcome, monkeypatch, error):
    monkeypatch.setattr(extraction.Extraction, "run", failing_on_call(2, extraction.Extraction.run, error))
    ended = outcome()
    assert type(ended) is type(error)
    assert str(ended) == str(error)


def test_an_unexpected_error_in_a_pass_does_not_affect_other_passes(outcome, monkeypatch):
    broken = failing_on_call(1, extraction.Extraction.run, RuntimeError("the driver gave up"))
    monkeypatch.setattr(extraction.Extraction, "run", broken)
    scores, failed, _ = outcome()
    assert scores == {BOTH[0]: ["knn", "logme"]}
    assert failed == {BOTH[1]: "RuntimeError: the driver gave up"}


def test_failing_moments_only_affect_the_scores_that_need_them(outcome, monkeypatch):
    monkeypatch.setattr(scoring, "_worth_keeping", lambda *_: True)
    broken = failing_on_call(1, ClassMoments.update, EstimatorError("features are too large"))
    monkeypatch.setattr(ClassMoments, "update", broken)
    scores, failed, _ = outcome()
    assert scores == {BOTH[0]: ["knn", "logme"], BOTH[1]: ["knn"]}
    assert failed == {BOTH[1]: f"model '{BOTH[1]}' has no score: features are too large"}


def test_failing_moments_do_not_affect_a_ranking_that_does_not_need_them(outcome, monkeypatch):
    monkeypatch.setattr(scoring, "_worth_keeping", lambda *_: True)
    broken = failing_on_call(1, ClassMoments.update, EstimatorError("features are too large"))
    monkeypatch.setattr(ClassMoments, "update", broken)
    scores, failed, warnings = outcome(estimators=["knn", "logme"])
    assert scores == {BOTH[0]: ["knn", "logme"], BOTH[1]: ["knn"]}
    assert failed == {}
    assert f"no score by logme for {BOTH[1]}: features are too large" in warnings


def test_a_failing_score_does_not_affect_others(outcome, monkeypatch):
    monkeypatch.setattr(LogME, "fit_moments", failing_on_call(1, LogME.fit_moments, ZeroDivisionError("by zero")))
    scores, failed, warnings = outcome(estimators=["knn", "logme"])
    assert scores == {BOTH[0]: ["knn", "logme"], BOTH[1]: ["knn"]}
    assert failed == {}
    assert f"no score by logme for {BOTH[1]}: ZeroDivisionError: by zero" in warnings


@pytest.mark.parametrize("others", [[], [MOBILENET]])
def test_a_model_that_does_not_exist_ends_the_run_before_it_starts(outcome, others):
    ended = outcome(models=[{**RESNET, "name": "resnet5O"}, *others])
    assert isinstance(ended, SpecError)
    assert "did you mean 'resnet50'" in str(ended)


def test_a_run_without_any_ranked_candidate_fails(outcome):
    ended = outcome(models=["timm:resnet10t.c3_in1k"])  # its weights have to be downloaded
    assert isinstance(ended, ModelError)
    assert "no candidate could be ranked" in str(ended)


def test_scores_that_are_impossible_need_no_features(outcome, settings):
    changes = {"models": [{**RESNET, "layer": "layer1"}], "estimators": ["knn", "leep"]}
    expected = outcome(**changes)
    shutil.rmtree(f"{settings['store']}/features")
    assert outcome(**changes) == expected
    assert not Path(settings["store"], "features").exists()


@pytest.mark.parametrize("kind", ["features", "labels", "moments", "samples"])
def test_artifacts_found_damaged_on_reading_are_computed_again(outcome, settings, monkeypatch, kind):
    monkeypatch.setattr(scoring, "_worth_keeping", lambda *_: True)
    expected = outcome(estimators=["emms-decoded"])
    store = Store(settings["store"])
    for path in store.fs.find(f"{store.root}/{kind}"):
        if path.endswith(".parquet"):
            content = bytearray(store.fs.cat_file(path))
            content[len(content) // 3] ^= 4
            store.fs.pipe_file(path, bytes(content))
    scores, failed, _ = outcome(estimators=["emms-decoded", "emms"])
    assert scores.keys() == expected[0].keys()
    assert {tuple(estimators) for estimators in scores.values()} == {("emms", "emms-decoded")}
    assert failed == {}
