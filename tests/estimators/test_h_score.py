"""H-score and its regularised form reproduce the released numbers and equal their formulas."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from sklearn.covariance import ledoit_wolf

from emms.errors import EstimatorError
from emms.estimators import UnreliableScoreWarning
from emms.estimators.h_score import HScore, RegularisedHScore
from emms.moments import ClassMoments, TargetMoments

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())
CASES = [name for name in EXPECTED if "hscore" in EXPECTED[name]]
BOTH = pytest.mark.parametrize("H", [HScore, RegularisedHScore])


def parity_case(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        return arrays["features"], arrays["labels"]


def random_case(seed, N=90, D1=12, C=4):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1)), y


@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
@pytest.mark.parametrize("name", CASES)
def test_both_reproduce_the_release(name):
    X, y = parity_case(name)
    assert HScore().fit(X, y).score_ == pytest.approx(EXPECTED[name]["hscore"], rel=1e-8)
    assert RegularisedHScore().fit(X, y).score_ == pytest.approx(EXPECTED[name]["hscore_regularized"], rel=1e-10)


@pytest.mark.parametrize(("N", "D1"), [(90, 1), (90, 12), (40, 60), (200, 130)])
def test_the_shrinkage_is_ledoit_and_wolfs(N, D1):
    X, y = random_case(0, N, D1)
    assert RegularisedHScore().fit(X, y).shrinkage_ == pytest.approx(ledoit_wolf(X)[1], rel=1e-10)


def test_it_is_the_sum_of_squared_canonical_correlations():
    X, y = random_case(0)
    angles = subspace_angles(X - X.mean(axis=0), np.eye(4)[y][:, 1:] - np.eye(4)[y][:, 1:].mean(axis=0))
    assert HScore().fit(X, y).score_ == pytest.approx(np.sum(np.cos(angles) ** 2), rel=1e-10)


@BOTH
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]))
def test_order_names_and_scale_do_not_matter(H, seed, scale):
    X, y = random_case(seed)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    expected = pytest.approx(H().fit(X, y).score_, rel=1e-8)
    assert H().fit(X[samples], y[samples]).score_ == expected
    assert H().fit(X, classes[y]).score_ == expected
    assert H().fit(scale * X, y).score_ == expected


def test_h_score_is_invariant_to_linear_maps():
    X, y = random_case(0)
    expected = pytest.approx(HScore().fit(X, y).score_, rel=1e-8)
    assert HScore().fit(X @ np.random.default_rng(0).standard_normal((12, 12)) + 5, y).score_ == expected
    assert HScore().fit(np.hstack([X, X[:, :3], np.ones((90, 2))]), y).score_ == expected


def test_h_score_from_moments():
    X, y = random_case(0)
    moments = ClassMoments(12, 9).update(X[:50], y[:50] + 5) + ClassMoments(12, 9).update(X[50:], y[50:] + 5)
    assert HScore().fit_moments(moments).score_ == pytest.approx(HScore().fit(X, y).score_, rel=1e-10)


@BOTH
def test_a_large_mean_costs_no_precision(H):
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert H().fit(X + 2.0**14, y).score_ == pytest.approx(H().fit(X, y).score_, rel=1e-8)


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (3, 3, 2), (5, 1, 2)])
def test_unusual_shapes_have_a_score(N, D1, C):
    X, y = random_case(1, N, D1, C)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        for H in (HScore, RegularisedHScore):
            assert 0 <= H().fit(X, y).score_ <= (C - 1) * N / (N - 1) * 1.000001


def test_a_warning_if_every_network_is_perfect():
    X, y = random_case(0, N=30, D1=40)
    with pytest.warns(UnreliableScoreWarning, match="30 samples with 40 features"):
        assert HScore().fit(X, y).score_ == pytest.approx(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RegularisedHScore().fit(X, y).score_ < 2.9


def test_uninformative_features():
    y = np.arange(30) % 3
    assert HScore().fit(np.ones((30, 4)), y).score_ == 0
    with pytest.raises(EstimatorError, match=r"all features are constant.*leave the network out"):
        RegularisedHScore().fit(np.full((30, 4), 0.1), y)


def test_invalid_input_raises():
    with pytest.raises(EstimatorError, match="'h-score' needs class labels"):
        HScore().fit_moments(TargetMoments(3, 2).update(np.eye(3), np.eye(3)[:, :2]))
    with pytest.raises(EstimatorError, match=r"rule is zero, .*use more samples"):
        RegularisedHScore().fit([[1.0, 2], [2, 5]], [0, 1])
    with pytest.raises(EstimatorError, match="too large to square"):
        RegularisedHScore().fit(1e200 * np.eye(4), [0, 0, 1, 1])
