"""SFDA reproduces the released numbers and equals the naive computation for features of any shape."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from emms.errors import EstimatorError
from emms.estimators import UnreliableScoreWarning
from emms.estimators.lda import LDA
from emms.estimators.sfda import SFDA

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


def random_case(seed, N=90, D1=12, C=4, scale=1.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return scale * (rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1))), y


def naive(X, y, shrinkage):
    C, D1 = y.max() + 1, X.shape[1]

    def posteriors(X):
        means = np.array([X[y == c].mean(axis=0) for c in range(C)])
        within = (X - means[y]).T @ (X - means[y]) / len(X)
        inverse = np.linalg.inv((1 - shrinkage) * within + shrinkage * np.trace(within) / D1 * np.eye(D1))
        logits = [X @ inverse @ m - m @ inverse @ m / 2 + np.log(np.mean(y == c)) for c, m in enumerate(means)]
        return softmax(np.array(logits).T, axis=1), means

    first, means = posteriors(X)
    mixed = np.empty_like(X)
    for n, (x, c) in enumerate(zip(X, y, strict=True)):
        confidence = np.exp(first[n, c]) / np.exp(first[n]).sum()
        mixed[n] = confidence * x + (1 - confidence) * np.delete(means, c, axis=0).mean(axis=0)
    return posteriors(mixed)[0][np.arange(len(y)), y].mean()


@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
@pytest.mark.parametrize("name", [n for n in EXPECTED if "sfda" in EXPECTED[n]])
def test_it_reproduces_the_release(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        X, y = arrays["features"], arrays["labels"]
    assert SFDA().fit(X, y).score_ == pytest.approx(EXPECTED[name]["sfda"], rel=1e-8)


@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
@pytest.mark.parametrize(("N", "D1", "C"), [(90, 12, 4), (90, 12, 2), (90, 1, 3), (40, 60, 3), (60, 59, 5)])
@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_it_equals_the_naive_computation(N, D1, C, shrinkage):
    X, y = random_case(0, N, D1, C)
    assert SFDA(shrinkage).fit(X, y).score_ == pytest.approx(naive(X, y, shrinkage), rel=1e-8)


def test_the_second_discriminant_has_the_shrinkage_of_the_first():
    X, y = random_case(0, scale=0.1)
    shrinkage = LDA().fit(X, y).shrinkage_
    assert 1e-10 < shrinkage < 1
    assert SFDA().fit(X, y).shrinkage_ == shrinkage
    assert SFDA().fit(X, y).score_ == pytest.approx(naive(X, y, shrinkage), rel=1e-8)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]), D1=st.sampled_from([12, 120]))
def test_order_names_and_scale_do_not_matter(seed, scale, D1):
    X, y = random_case(seed, D1=D1)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    expected = pytest.approx(SFDA(0.1).fit(X, y).score_, rel=1e-8)
    assert SFDA(0.1).fit(X[samples], y[samples]).score_ == expected
    assert SFDA(0.1).fit(X, classes[y]).score_ == expected
    assert SFDA(0.1).fit(scale * X, y).score_ == expected


def test_a_large_mean_costs_no_precision():
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    assert SFDA().fit(X + 2.0**14, y).score_ == pytest.approx(SFDA().fit(X, y).score_, rel=1e-8)


def test_features_are_not_modified():
    X, y = random_case(0)
    before = X.copy()
    SFDA().fit(X, y)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (3, 5, 2), (5, 1, 2)])
def test_unusual_shapes_have_a_score(N, D1, C):
    X, y = random_case(1, N, D1, C)
    X = np.hstack([X, X[:, :1], np.full((N, 1), 0.1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        assert 0 < SFDA().fit(X, y).score_ <= 1


def test_a_warning_if_every_network_is_perfect():
    X, y = random_case(0, N=40, D1=120)
    with pytest.warns(UnreliableScoreWarning, match="'sfda' assigns probability 1 to the right class"):
        assert SFDA().fit(X, y).score_ == pytest.approx(1)


def test_invalid_input_raises():
    X, y = random_case(0)
    with pytest.raises(EstimatorError, match="all features are constant"):
        SFDA().fit(np.full((30, 4), 0.1), np.arange(30) % 3)
    with pytest.raises(EstimatorError, match="features of all samples are the same"):
        SFDA().fit(X[:4], y[:4])
