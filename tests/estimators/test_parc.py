"""PARC reproduces the released numbers and equals the rank correlation of all pairs."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from emms.errors import EstimatorError
from emms.estimators.parc import PARC, _rank_correlation

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


def random_case(seed, N=90, D1=12, C=4):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return 2 * rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1)) @ rng.standard_normal((D1, D1)), y


def naive(X, y, n_components):
    """Compute the score with exact principal components and ranks of all pairs."""
    components = PCA(n_components, svd_solver="full").fit_transform(X)
    pairs = np.triu_indices(len(X), 1)
    distances = 1 - np.corrcoef(components / components.std(axis=0))[pairs]
    return 100 * spearmanr(distances, (y[:, None] != y)[pairs])[0]


@pytest.mark.parametrize("name", [n for n in EXPECTED if "parc_32" in EXPECTED[n]])
def test_it_reproduces_the_release(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        X, y = arrays["features"], arrays["labels"]
    # The release ranks distances of labels by their last digit, unless float64 has one number for all of them.
    exact = name in ("balanced", "two_classes")
    assert PARC().fit(X, y).score_ == pytest.approx(EXPECTED[name]["parc_32"], rel=1e-6 if exact else 0.1)


@pytest.mark.parametrize(("N", "D1", "C", "d"), [(90, 12, 4, 5), (90, 12, 2, 11), (40, 60, 3, 8)])
def test_it_equals_the_naive_computation(N, D1, C, d):
    X, y = random_case(0, N, D1, C)
    assert PARC(n_components=d, pca="exact").fit(X, y).score_ == pytest.approx(naive(X, y, d), rel=1e-6)


@given(
    values=st.lists(st.integers(0, 5), min_size=2, max_size=30),
    levels=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_ties_are_ranked_as_by_spearman(values, levels):
    values, levels = np.array(values, np.int32), np.array(levels[: len(values)], np.uint8)
    assume(len(set(levels)) > 1)
    expected = spearmanr(values, levels)[0] if len(set(values)) > 1 else 0
    assert _rank_correlation(values, levels) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-20, 1e-3, 1e6, 1e30]), D1=st.sampled_from([12, 120]))
def test_order_names_and_scale_do_not_matter(seed, scale, D1):
    X, y = random_case(seed, D1=D1)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(4)
    for parc in (PARC(pca="exact"), *([PARC()] if len(X) > D1 else [])):
        expected = pytest.approx(parc.fit(X, y).score_, rel=1e-6, abs=1e-4)
        assert parc.fit(X[samples], y[samples]).score_ == expected
        assert parc.fit(X, classes[y]).score_ == expected
        assert parc.fit(scale * X, y).score_ == expected


def test_neither_a_large_mean_nor_constant_columns_matter():
    X, y = random_case(0)
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    expected = pytest.approx(PARC(pca="exact").fit(X, y).score_, rel=1e-6)
    assert PARC(pca="exact").fit(np.hstack([X, np.zeros((90, 3))]) + 2.0**14, y).score_ == expected


def test_one_hot_features_have_the_maximum_score():
    y = np.arange(60) % 3
    rng = np.random.default_rng(0)
    assert PARC().fit(np.eye(3)[y] + 1e-3 * rng.standard_normal((60, 3)), y).score_ > 60
    assert abs(PARC().fit(rng.standard_normal((60, 3)), y).score_) < 20


def test_large_datasets_are_subsampled():
    X, y = random_case(0, N=3_000)
    part = PARC(max_samples=1_000).fit(X, y).score_
    assert part == PARC(max_samples=1_000).fit(X, y).score_
    assert part != PARC(max_samples=1_000, seed=0).fit(X, y).score_
    assert part == pytest.approx(PARC().fit(X, y).score_, abs=2)
    assert np.bincount(y[PARC(max_samples=1_000)._choose(y)]) == pytest.approx(np.bincount(y) / 3, abs=1)


@pytest.mark.parametrize(("N", "D1", "C"), [(50, 4, 2), (50, 4, 49), (20, 40, 3), (3, 5, 2), (5, 2, 2)])
@pytest.mark.parametrize("pca", ["randomised", "exact"])
def test_unusual_shapes_have_a_score(N, D1, C, pca):
    X, y = random_case(1, N, D1, C)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert -100 <= PARC(pca=pca).fit(X, y).score_ <= 100
        assert -100 <= PARC(pca=pca).fit(np.hstack([X, X, np.ones((N, 2))]), y).score_ <= 100


def test_a_sample_with_constant_components_has_no_correlation():
    X = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [0, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(PARC().fit(X, [0, 1, 0, 1, 0, 1, 0]).score_)


def test_invalid_input_raises():
    X, y = random_case(0)
    with pytest.raises(EstimatorError, match="all features are constant"):
        PARC().fit(np.full((30, 4), 0.1), np.arange(30) % 3)
    with pytest.raises(EstimatorError, match=r"one direction only.*leave the network out"):
        PARC().fit(X[:, :1], y)
    with pytest.raises(EstimatorError, match="there are only the latter; use more samples of each class"):
        PARC().fit(X[:4], y[:4])
    with pytest.raises(EstimatorError, match="too large to square"):
        PARC().fit(1e200 * X, y)
