"""LDA equals its formula for features of any shape."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from emms.errors import EstimatorError
from emms.estimators import UnreliableScoreWarning
from emms.estimators.lda import LDA


def random_case(seed, N=90, D1=12, C=4, scale=1.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return scale * (rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1))), y


def naive(X, y, shrinkage=None):
    """Compute the score by Bayes' rule from the densities of Gaussians in the space of all features."""
    C, D1 = y.max() + 1, X.shape[1]
    means = np.array([X[y == c].mean(axis=0) for c in range(C)])
    within = sum(np.sum(y == c) / len(y) * np.cov(X[y == c].T, bias=True).reshape(D1, D1) for c in range(C))
    if shrinkage is None:
        shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
    S = (1 - shrinkage) * within + shrinkage * np.trace(within) / D1 * np.eye(D1)
    logs = [np.log(np.mean(y == c)) + multivariate_normal(means[c], S).logpdf(X) for c in range(C)]
    posteriors = np.exp(logs - np.logaddexp.reduce(logs))
    return posteriors[y, np.arange(len(y))].mean()


@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
@pytest.mark.parametrize(("N", "D1", "C"), [(90, 12, 4), (90, 12, 2), (90, 1, 3), (40, 60, 3), (60, 59, 5)])
@pytest.mark.parametrize("shrinkage", [None, 0.01, 0.5, 1.0])
def test_it_equals_the_naive_computation(N, D1, C, shrinkage):
    X, y = random_case(0, N, D1, C, scale=0.1)  # so that SFDA's shrinkage is above its least
    assert LDA(shrinkage).fit(X, y).score_ == pytest.approx(naive(X, y, shrinkage), rel=1e-8)


def test_it_agrees_with_scikit_learn():
    X, y = random_case(0)
    posteriors = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-10).fit(X, y).predict_proba(X)
    assert LDA(1e-10).fit(X, y).score_ == pytest.approx(posteriors[np.arange(90), y].mean(), rel=1e-6)


def test_the_default_shrinkage_is_the_authors():
    X, y = random_case(0, scale=0.1)
    residuals = X - np.array([X[y == c].mean(axis=0) for c in range(4)])[y]
    largest = np.linalg.norm(residuals, 2) ** 2 / 90
    assert LDA().fit(X, y).shrinkage_ == pytest.approx(np.exp(-5 * largest))
    assert LDA().fit(100 * X, y).shrinkage_ == 1e-10
    assert LDA(0.25).fit(X, y).shrinkage_ == 0.25


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]), D1=st.sampled_from([12, 120]))
def test_order_names_and_scale_do_not_matter(seed, scale, D1):
    X, y = random_case(seed, D1=D1)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    expected = pytest.approx(LDA(0.1).fit(X, y).score_, rel=1e-8)
    assert LDA(0.1).fit(X[samples], y[samples]).score_ == expected
    assert LDA(0.1).fit(X, classes[y]).score_ == expected
    assert LDA(0.1).fit(scale * X, y).score_ == expected


def test_a_large_mean_costs_no_precision():
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    assert LDA().fit(X + 2.0**14, y).score_ == pytest.approx(LDA().fit(X, y).score_, rel=1e-8)


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (3, 5, 2), (5, 1, 2)])
def test_unusual_shapes_have_a_score(N, D1, C):
    X, y = random_case(1, N, D1, C)
    X = np.hstack([X, X[:, :1], np.full((N, 1), 0.1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        assert 0 < LDA().fit(X, y).score_ <= 1


def test_a_warning_if_every_network_is_perfect():
    X, y = random_case(0, N=40, D1=120)
    with pytest.warns(UnreliableScoreWarning, match="40 samples with 120 features.*use more samples, or a larger"):
        assert LDA().fit(X, y).score_ == 1


def test_invalid_input_raises():
    X, y = random_case(0)
    with pytest.raises(EstimatorError, match=r"all features are constant.*leave the network out"):
        LDA().fit(np.full((30, 4), 0.1), np.arange(30) % 3)
    with pytest.raises(
        EstimatorError, match=r"features of all samples are the same.*two samples or more of each class"
    ):
        LDA().fit(X[:4], y[:4])
    with pytest.raises(EstimatorError, match="features of all samples are the same"):
        LDA().fit(X[y], y)
    with pytest.raises(EstimatorError, match="too large to square"):
        LDA().fit(1e200 * X, y)
