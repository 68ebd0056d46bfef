"""GBC equals the overlap of Gaussians."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from emms.errors import EstimatorError
from emms.estimators.gbc import GBC

COVARIANCES = ["spherical", "diagonal"]


def random_case(seed, N=90, D1=12, C=4):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return 2 * rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1)), y


def naive(X, y, covariance, n_components):
    """Compute the score with full covariance matrices, their determinants and inverses."""
    _, _, directions = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    X = X @ directions[:n_components].T
    floor = 1e-4 * X.var(axis=0).mean()
    gaussians = []
    for c in range(y.max() + 1):
        variances = np.maximum(X[y == c].var(axis=0), floor)
        if covariance == "spherical":
            variances = np.full_like(variances, variances.mean())
        gaussians.append((X[y == c].mean(axis=0), np.diag(variances)))
    score = 0
    for (m, V), (n, W) in itertools.permutations(gaussians, 2):
        S = (V + W) / 2
        distance = (m - n) @ np.linalg.inv(S) @ (m - n) / 8
        distance += np.log(np.linalg.det(S) / np.sqrt(np.linalg.det(V) * np.linalg.det(W))) / 2
        score -= np.exp(-distance)
    return score


@pytest.mark.parametrize(("N", "D1", "C", "d"), [(90, 12, 4, 5), (90, 12, 2, 64), (90, 1, 3, 64), (40, 60, 3, 8)])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_it_equals_the_naive_computation(N, D1, C, d, covariance):
    X, y = random_case(0, N, D1, C)
    expected = naive(X, y, covariance, d)
    assert expected < -1e-6
    assert GBC(covariance, d).fit(X, y).score_ == pytest.approx(expected, rel=1e-8)


def test_it_equals_the_integral_of_square_roots_of_densities():
    X = np.array([0.0, 1, 2, 4, 5, 9])[:, None]
    overlap = quad(lambda x: np.sqrt(norm.pdf(x, 1, np.sqrt(2 / 3)) * norm.pdf(x, 6, np.sqrt(14 / 3))), -20, 30)[0]
    assert GBC().fit(X, [0, 0, 0, 1, 1, 1]).score_ == pytest.approx(-2 * overlap)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]),
    D1=st.sampled_from([12, 120]),
    covariance=st.sampled_from(COVARIANCES),
)
def test_order_names_and_scale_do_not_matter(seed, scale, D1, covariance):
    X, y = random_case(seed, D1=D1)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    gbc = GBC(covariance)
    expected = pytest.approx(gbc.fit(X, y).score_, rel=1e-7)
    assert gbc.fit(X[samples], y[samples]).score_ == expected
    assert gbc.fit(X, classes[y]).score_ == expected
    assert gbc.fit(scale * X, y).score_ == expected


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_neither_a_large_mean_nor_constant_or_repeated_columns_matter(covariance):
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    expected = pytest.approx(GBC(covariance).fit(X, y).score_, rel=1e-8)
    assert GBC(covariance).fit(np.hstack([X, np.zeros((90, 3))]) + 2.0**14, y).score_ == expected
    assert GBC(covariance).fit(np.hstack([X, X]) / np.sqrt(2), y).score_ == expected


def test_more_distant_classes_have_higher_scores_up_to_zero():
    X, y = random_case(0)
    scores = [GBC().fit(X + apart * y[:, None], y).score_ for apart in (0, 5, 100)]
    assert scores == sorted(scores)
    assert -12 <= scores[0] < -1e-3
    assert scores[-1] == 0


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (3, 5, 2), (5, 1, 2)])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_unusual_shapes_have_a_score(N, D1, C, covariance):
    X, y = random_case(1, N, D1, C)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert -C * (C - 1) <= GBC(covariance).fit(X, y).score_ <= 0


def test_invalid_input_raises():
    X, y = random_case(0)
    with pytest.raises(EstimatorError, match="all features are constant"):
        GBC().fit(np.full((30, 4), 0.1), np.arange(30) % 3)
    with pytest.raises(
        EstimatorError, match=r"features of all samples are the same.*two samples or more of each class"
    ):
        GBC().fit(X[:4], y[:4])
