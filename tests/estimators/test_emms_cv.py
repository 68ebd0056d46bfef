"""The cross-validated score from the moments of folds equals a naive computation on the samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import class_problem as problem
from scipy.optimize import minimize

from emms.errors import EstimatorError
from emms.estimators import make_estimator
from emms.estimators.emms import EMMS, EMMSCV
from emms.estimators.emms_decoded import EMMSDecoded
from emms.moments import ClassMoments, TargetMoments
from emms.moments.folds import assign_folds


def naive(X, Z, y, folds):
    """Return the explained variance of each held-out fold by ridge regression on the samples; Z is (N, D2, K)."""
    X = X.astype(np.float64)
    X = (X - X.mean(0)) / X.std(0)  # the units of all samples
    left = whole = 0.0
    for fold in range(folds.max() + 1):
        out = folds == fold
        mean, std = Z[~out].mean(0), Z[~out].std(0)
        targets, held = (Z[~out] - mean) / (std + 1e-8), (Z[out] - mean) / (std + 1e-8)
        centre = X[~out].mean(0)
        G = (X[~out] - centre).T @ (X[~out] - centre) + X.shape[1] * np.eye(X.shape[1])

        def regression(t, out=out, centre=centre, G=G, targets=targets):
            return np.linalg.solve(G, (X[~out] - centre).T @ (targets @ t))

        def penalised(t, out=out, centre=centre, targets=targets, regression=regression):
            w = regression(t)
            return ((X[~out] - centre) @ w - targets @ t).ravel() @ ((X[~out] - centre) @ w - targets @ t).ravel() + (
                X.shape[1] * (w**2).sum()
            )

        K = Z.shape[2]
        simplex = {"bounds": [(0, 1)] * K, "constraints": {"type": "eq", "fun": lambda t: t.sum() - 1}}
        t = minimize(penalised, np.full(K, 1 / K), method="SLSQP", options={"ftol": 1e-13, "maxiter": 500}, **simplex).x
        left += (((X[out] - centre) @ regression(t) - held @ t) ** 2).sum()
        whole += ((held @ t) ** 2).sum()
    return 1 - left / whole


@pytest.mark.parametrize("shape", [{}, {"D2": 3, "C": 8}, {"D2": 20, "C": 2}, {"N": 60, "D1": 100}, {"K": 1}])
def test_it_equals_the_naive_computation(shape):
    X, Z, y = problem(**shape)
    expected = naive(X, Z[y], y, assign_folds(y, 5, seed=0))
    assert EMMS(validation=5).fit(X, Z, y).score_ == pytest.approx(expected, abs=1e-5)


def test_label_embeddings_per_sample_are_equivalent_to_those_per_class():
    X, Z, y = problem()
    fold_of = assign_folds(y, 4, seed=3)
    parts = [fold_of == fold for fold in range(4)]
    by_class = EMMS(validation=4).fit_folds([ClassMoments(12, 5).update(X[p], y[p]) for p in parts], Z)
    by_sample = EMMS(validation=4).fit_folds([TargetMoments(12, 6, 3).update(X[p], Z[y[p]]) for p in parts])
    assert by_sample.score_ == pytest.approx(by_class.score_, rel=1e-9)
    np.testing.assert_allclose(by_sample.fold_scores_, by_class.fold_scores_, rtol=1e-9)
    np.testing.assert_allclose(by_sample.weights_, by_class.weights_, atol=1e-7)
    np.testing.assert_allclose(by_sample.coef_, by_class.coef_, atol=1e-6)


def test_width_alone_explains_nothing():
    rng = np.random.default_rng(0)
    _, Z, y = problem(N=300)
    for D1 in (10, 100, 1_000):
        assert -0.5 < EMMSCV().fit(rng.standard_normal((300, D1)), Z, y).score_ < 0.01


def test_the_score_is_below_one_and_near_it_for_perfect_features():
    _, Z, y = problem()
    assert 0.95 < EMMSCV().fit(np.eye(5)[y] + 0.0, Z, y).score_ < 1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_invariance_to_units_shifts_and_order_within_folds(seed):
    rng = np.random.default_rng(seed)
    X, Z, y = problem(seed=seed)
    fold_of = assign_folds(y, 5, seed=0)

    def scored(X, order):
        folds = [
            ClassMoments(12, 5).update(X[order][fold_of[order] == f], y[order][fold_of[order] == f]) for f in range(5)
        ]
        return EMMSCV().fit_folds(folds, Z).score_

    score = scored(X.astype(np.float64), np.arange(len(X)))
    moved = X * rng.uniform(0.01, 100, 12) + rng.uniform(-10, 10, 12)
    assert scored(moved, rng.permutation(len(X))) == pytest.approx(score, abs=1e-8)


def test_constant_columns_and_columns_that_vary_only_in_one_fold():
    X, Z, y = problem()
    score = EMMSCV().fit(X, Z, y).score_
    constant = np.hstack([X, np.full((len(X), 3), 7, np.float32)])
    assert EMMSCV().fit(constant, Z, y).score_ == pytest.approx(score, abs=1e-6)
    fold_of = assign_folds(y, 5, seed=0)
    rare = np.where(fold_of == 2, 1000 * np.random.default_rng(0).standard_normal(len(X)), 0)[:, None]
    assert EMMSCV().fit(np.hstack([X, rare]), Z, y).score_ == pytest.approx(score, abs=0.05)


def test_fold_scores():
    X, Z, y = problem()
    scored = EMMS(validation=3).fit(X, Z, y)
    assert scored.fold_scores_.shape == (3,)
    assert scored.fold_scores_.min() < scored.score_ < scored.fold_scores_.max()


def test_invalid_folds_raise():
    X, Z, y = problem()
    with pytest.raises(EstimatorError, match="samples in each, not 1, 1, 1, 0, 0"):
        EMMSCV().fit(X[:3], Z, y[:3])
    with pytest.raises(EstimatorError, match="hardly vary"):
        EMMSCV().fit(X, Z, np.zeros_like(y))
    with pytest.raises(EstimatorError, match="must be one per sample"):
        EMMSCV().fit(X[:-1], Z, y)
    with pytest.raises(EstimatorError, match="update moments per fold"):
        EMMSCV().partial_fit(X, Z, y)
    assert make_estimator("emms-cv", validation=10).folds == 10


def test_columns_that_vary_only_by_rounding_change_nothing():
    rng = np.random.default_rng(0)
    y, Z = np.arange(200) % 4, rng.standard_normal((4, 6, 2))
    X = (rng.standard_normal((4, 10))[y] + 0.5 * rng.standard_normal((200, 10))).astype(np.float32)
    jitter = np.float32(0.3) * (1 + np.finfo(np.float32).eps * rng.integers(0, 2, (200, 500), dtype=np.int8))
    padded = np.hstack([X, jitter.astype(np.float32)])
    for estimator in (EMMSCV, EMMSDecoded):
        assert estimator().fit(padded, Z, y).score_ == pytest.approx(estimator().fit(X, Z, y).score_, rel=1e-6)


def test_class_labels_with_two_dimensions_raise():
    with pytest.raises(EstimatorError, match="integers of shape"):
        EMMS(validation=5).fit(np.ones((10, 2)), np.ones((2, 3, 1)), np.zeros((10, 1), dtype=int))
