"""TransRate reproduces the released numbers and equals its formula for features of any shape."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emms.errors import EstimatorError
from emms.estimators.transrate import TransRate

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


def random_case(seed, N=90, D1=12, C=4):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1)), y


@pytest.mark.parametrize("name", [n for n in EXPECTED if "transrate" in EXPECTED[n]])
def test_it_reproduces_the_release(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        X, y = arrays["features"], arrays["labels"]
    assert TransRate().fit(X, y).score_ == pytest.approx(EXPECTED[name]["transrate"], rel=1e-10)


@pytest.mark.parametrize(("N", "D1", "C"), [(90, 12, 4), (90, 40, 2), (40, 60, 3)])
@pytest.mark.parametrize("weights", ["equal", "share"])
@pytest.mark.parametrize("scale", ["none", "trace"])
def test_it_equals_the_naive_computation(N, D1, C, weights, scale):
    X, y = random_case(0, N, D1, C)
    Z = X - X.mean(axis=0)
    if scale == "trace":
        Z /= np.sqrt(np.trace(Z @ Z.T))

    def rate(Z):
        return np.linalg.slogdet(np.eye(D1) + Z.T @ Z / (len(Z) * 1e-2))[1] / 2

    w = np.bincount(y) / N if weights == "share" else np.full(C, 1 / C)
    expected = rate(Z) - sum(w[c] * rate(Z[y == c]) for c in range(C))
    assert TransRate(1e-2, weights, scale).fit(X, y).score_ == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]), D1=st.sampled_from([12, 120]))
def test_order_names_and_with_the_trace_scale_do_not_matter(seed, scale, D1):
    X, y = random_case(seed, D1=D1)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    for rate in (TransRate(), TransRate(scale="trace")):
        expected = pytest.approx(rate.fit(X, y).score_, rel=1e-8)
        assert rate.fit(X[samples], y[samples]).score_ == expected
        assert rate.fit(X, classes[y]).score_ == expected
    assert TransRate(scale="trace").fit(scale * X, y).score_ == expected


def test_the_units_of_the_distortion_are_those_of_the_features():
    X, y = random_case(0)
    assert TransRate(eps=1e8).fit(1e6 * X, y).score_ == pytest.approx(TransRate().fit(X, y).score_, rel=1e-9)


def test_a_large_mean_costs_no_precision():
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    assert TransRate().fit(X + 2.0**14, y).score_ == pytest.approx(TransRate().fit(X, y).score_, rel=1e-8)


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (2, 5, 2), (5, 1, 2)])
@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_unusual_shapes_have_a_score(N, D1, C, scale):
    X, y = random_case(1, N, D1, C)
    X = scale * np.hstack([X, X, np.full((N, 1), 0.1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(TransRate().fit(X, y).score_)


def test_constant_columns_change_nothing():
    X, y = random_case(0)
    score = TransRate().fit(np.hstack([X, np.full((90, 3), 1e4)]), y).score_
    assert score == pytest.approx(TransRate().fit(X, y).score_, rel=1e-10)


def test_invalid_input_raises():
    X, y = random_case(0)
    with pytest.raises(EstimatorError, match="all features are constant"):
        TransRate().fit(np.full((30, 4), 0.1), np.arange(30) % 3)
    with pytest.raises(EstimatorError, match="too large to square"):
        TransRate().fit(1e200 * X, y)
