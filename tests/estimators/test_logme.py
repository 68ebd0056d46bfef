"""LogME reproduces the released numbers for class labels and label embeddings."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from emms.errors import EstimatorError
from emms.estimators.logme import LogME, LogMEFLabel
from emms.moments import ClassMoments, TargetMoments

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


def parity_case(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        return arrays["features"], arrays["label_embeddings"], arrays.get("labels")


@pytest.mark.parametrize("name", [n for n in EXPECTED if "logme_classification" in EXPECTED[n]])
def test_class_labels_reproduce_the_release(name):
    X, _, y = parity_case(name)
    assert LogME("released").fit(X, y).score_ == pytest.approx(EXPECTED[name]["logme_classification"], rel=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_label_embeddings_reproduce_the_release(name):
    X, Z, y = parity_case(name)
    f_label = LogMEFLabel("released").fit(X, Z, y)
    for k, score in enumerate(f_label.scores_):
        if f"logme_regression_label_{k}" in EXPECTED[name]:
            assert score == pytest.approx(EXPECTED[name][f"logme_regression_label_{k}"], rel=1e-6)
    assert f_label.score_ == pytest.approx(f_label.scores_.mean())


# With more features than samples, the authors' eleven iterations stop slightly below the maximum.
@pytest.mark.parametrize(("D1", "tolerance"), [(5, 1e-4), (60, 1e-3), (200, 0.03)])
def test_it_equals_the_maximum_evidence(D1, tolerance):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, D1)) + 1
    y = X[:, :5] @ rng.standard_normal(5) + 2 * rng.standard_normal(60)

    def minus_evidence(logs):
        alpha, beta = np.exp(logs)
        return -multivariate_normal(cov=X @ X.T / alpha + np.eye(60) / beta).logpdf(y)

    greatest = -minimize(minus_evidence, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6}).fun / 60
    assert LogMEFLabel().fit(X, y[:, None]).score_ == pytest.approx(greatest, abs=tolerance)


def test_wide_noise_has_no_high_score():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=60)
    narrow, wide = rng.standard_normal((60, 30)), rng.standard_normal((60, 1_280))
    assert LogME().fit(wide, y).score_ == pytest.approx(LogME().fit(narrow, y).score_, abs=0.1)
    assert LogME("released").fit(wide, y).score_ > LogME("released").fit(narrow, y).score_ + 1


def test_classes_are_one_hot_columns():
    X, _, y = parity_case("imbalanced")
    assert LogME().fit(X, y).score_ == pytest.approx(LogMEFLabel().fit(X, np.eye(y.max() + 1)[y]).score_, rel=1e-9)


def test_class_embeddings_are_equivalent_to_one_per_sample():
    X, Z, y = parity_case("balanced")
    np.testing.assert_allclose(LogMEFLabel().fit(X, Z, y).scores_, LogMEFLabel().fit(X, Z[y]).scores_, rtol=1e-9)


def test_order_does_not_matter_and_neither_do_classes_without_samples():
    X, _, y = parity_case("balanced")
    rng = np.random.default_rng(0)
    samples, classes = rng.permutation(len(X)), rng.permutation(y.max() + 5)
    expected = LogME().fit(X, y).score_
    assert LogME().fit(X[samples], y[samples]).score_ == pytest.approx(expected, rel=1e-9)
    assert LogME().fit(X, classes[y]).score_ == pytest.approx(expected, rel=1e-9)
    assert LogME().fit(X, y.astype(str)).score_ == pytest.approx(expected, rel=1e-9)
    moments = ClassMoments(X.shape[1], len(classes)).update(X, classes[y])
    assert LogME().fit_moments(moments).score_ == pytest.approx(expected, rel=1e-9)


def test_constant_features_and_labels_give_a_number():
    X = np.ones((30, 4), np.float32)
    assert np.isfinite(LogME().fit(X, np.arange(30) % 3).score_)
    assert np.isfinite(LogMEFLabel().fit(X, np.zeros((30, 2))).score_)


def test_features_that_are_all_zero_are_refused():
    with pytest.raises(EstimatorError, match="all features are zero"):
        LogME().fit(np.zeros((30, 4)), np.arange(30) % 3)


def test_scores_from_moments():
    X, Z, y = parity_case("balanced")
    moments = ClassMoments(X.shape[1], len(Z)).update(X, y)
    assert LogME().fit_moments(moments, Z).score_ == pytest.approx(LogME().fit(X, y).score_, rel=1e-12)
    assert LogMEFLabel().fit_moments(moments, Z).score_ == LogMEFLabel().fit(X, Z, y).score_


def test_invalid_input_raises():
    with pytest.raises(EstimatorError, match="logme-f-label"):
        LogME().fit_moments(TargetMoments(3, 2).update(np.eye(3), np.eye(3)[:, :2]))
    with pytest.raises(
        EstimatorError, match=r"integers or names of shape \(N,\), not float64 of shape \(3, 3\); .*logme-f-label"
    ):
        LogME().fit(np.eye(3), np.eye(3))
    with pytest.raises(EstimatorError, match="two classes or more"):
        LogME().fit(np.eye(3)[:1], np.array([0]))
    with pytest.raises(EstimatorError, match="contain nan or infinity"):
        LogME().fit(np.full((3, 2), np.nan), np.array([0, 1, 0]))
