"""The decoded score: how often the predicted label embedding of a held-out sample is nearest to its own label."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import class_problem

from emms.errors import EstimatorError
from emms.estimators.emms_decoded import EMMSDecoded
from emms.moments.folds import assign_folds
from emms.moments.rows import RowFile

problem = partial(class_problem, noise=3.0)


def naive(X, Z, y, folds):
    """Compute the score from the label embeddings of all samples, encoders concatenated."""
    X = X.astype(np.float64)
    X = (X - X.mean(0)) / X.std(0)
    right = 0
    for fold in range(folds.max() + 1):
        out = folds == fold
        classes = Z.transpose(0, 2, 1).reshape(len(Z), -1)
        mean, std = classes[y[~out]].mean(0), classes[y[~out]].std(0)
        classes = (classes - mean) / (std + 1e-8)
        centre = X[~out].mean(0)
        G = (X[~out] - centre).T @ (X[~out] - centre) + X.shape[1] * np.eye(X.shape[1])
        w = np.linalg.solve(G, (X[~out] - centre).T @ classes[y[~out]])
        for x, label in zip(X[out], y[out], strict=True):
            distances = [np.linalg.norm((x - centre) @ w - embedding) for embedding in classes]
            right += int(np.argmin(distances)) == label
    return right / len(X)


@pytest.mark.parametrize(
    "shape", [{}, {"D2": 1, "K": 1}, {"D2": 20, "C": 2}, {"N": 60, "D1": 100}, {"D2": 2, "K": 2, "C": 9}]
)
def test_it_equals_the_naive_computation(shape):
    X, Z, y = problem(**shape)
    scored = EMMSDecoded().fit(X, Z, y)
    assert scored.score_ == naive(X, Z, y, assign_folds(y, 5, seed=0))
    assert scored.fold_scores_ @ np.bincount(assign_folds(y, 5, seed=0)) / len(X) == pytest.approx(scored.score_)


def test_random_wide_features_score_at_chance_level():
    rng = np.random.default_rng(0)
    _, Z, y = problem(N=1_000)
    for D1 in (10, 100, 2_000):
        assert EMMSDecoded().fit(rng.standard_normal((1_000, D1)), Z, y).score_ < 0.3  # chance is 0.2


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_invariance_to_units_and_shifts(seed):
    rng = np.random.default_rng(seed)
    X, Z, y = problem(seed=seed)
    moved = X.astype(np.float64) * rng.uniform(0.01, 100, 12) + rng.uniform(-10, 10, 12)
    assert EMMSDecoded().fit(moved, Z, y).score_ == pytest.approx(EMMSDecoded().fit(X, Z, y).score_, abs=1.5 / 150)


def test_a_class_with_one_sample_and_constant_columns():
    X, Z, y = problem(C=6)
    y[y == 5] = 0
    y[7] = 5
    scored = EMMSDecoded().fit(np.hstack([X, np.ones((150, 2), np.float32)]), Z, y)
    assert scored.score_ == pytest.approx(EMMSDecoded().fit(X, Z, y).score_, abs=1.5 / 150)


def test_invalid_input_raises():
    X, Z, y = problem()
    with pytest.raises(EstimatorError, match="3 samples cannot be split into 5 folds"):
        EMMSDecoded().fit(X[:3], Z, y[:3])
    with pytest.raises(EstimatorError, match="two classes or more"):
        EMMSDecoded().fit(X, Z, np.zeros_like(y))
    with pytest.raises(EstimatorError, match="contain nan"):
        EMMSDecoded().fit(np.where(np.arange(12) == 3, np.nan, X), Z, y)
    with pytest.raises(EstimatorError, match="must be in"):
        EMMSDecoded().fit(X, Z[:3], y)
    with pytest.raises(EstimatorError, match="one per row"):
        EMMSDecoded().fit(X[:-1], Z, y)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, np.pi * 1e8])
def test_constant_columns_of_any_precision_change_nothing(constant):
    for seed in range(20):
        X, Z, y = problem(seed=seed)
        padded = np.hstack([X.astype(np.float64), np.full((150, 20), constant)])
        assert EMMSDecoded().fit(padded, Z, y).score_ == pytest.approx(EMMSDecoded().fit(X, Z, y).score_, abs=1.5 / 150)


def test_label_columns_of_zeros_change_nothing():
    X, Z, y = problem()
    sparse = np.concatenate([Z, np.zeros((5, 3_000, 3))], axis=1)
    assert EMMSDecoded().fit(X, sparse, y).score_ == EMMSDecoded().fit(X, Z, y).score_


def test_batches_are_equivalent_to_one_array_and_must_be_complete():
    X, Z, y = problem()
    whole = EMMSDecoded().fit(X, Z, y).score_
    for size in (1, 7, 150):
        assert EMMSDecoded().fit_batches([X[i : i + size] for i in range(0, 150, size)], Z, y).score_ == whole
    with pytest.raises(EstimatorError, match="contain 143 rows"):
        EMMSDecoded().fit_batches((X[i : i + 7] for i in range(0, 150, 7)), Z, y)
    with pytest.raises(EstimatorError, match="contain 100 rows"):
        EMMSDecoded().fit_batches([X[:100]], Z, y)
    with pytest.raises(EstimatorError, match="more rows of features than labels"):
        EMMSDecoded().fit_batches([X, X], Z, y)
    with pytest.raises(EstimatorError, match="no batches"):
        EMMSDecoded().fit_batches([], Z, y)


def captions(N=400, U=300, D1=12, D2=8, K=2, noise=1.0, seed=0):
    """Return features that explain label embeddings, where some samples have the same label."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((U, D2, K))
    y = np.concatenate([np.arange(U), rng.integers(U, size=N - U)])
    X = Z.reshape(U, -1)[y] @ rng.standard_normal((D2 * K, D1)) + noise * rng.standard_normal((N, D1))
    return X.astype(np.float32), Z, y


def naive_own_labels(X, Z, y, folds, others, seed):
    """Compute the score by the normal equations of ridge regression, drawing labels one sample at a time."""
    X, Z = X.astype(float), np.swapaxes(Z, 1, 2).reshape(len(Z), -1)
    fold_of, right = assign_folds(y, folds, seed), np.zeros(len(y))
    for fold in range(folds):
        train = fold_of != fold
        mean, ridge = X[train].mean(axis=0), np.diag(X.shape[1] * X.var(axis=0))
        units = lambda z, of=Z[y[train]]: (z - of.mean(axis=0)) / of.std(axis=0)  # noqa: E731
        centred = X[train] - mean
        w = np.linalg.solve(centred.T @ centred + ridge, centred.T @ units(Z[y[train]]))
        for n in np.flatnonzero(~train):
            drawn = np.arange(len(Z))
            if others < len(Z) - 1:
                rng = np.random.default_rng([seed, n // 1024])
                pool = rng.choice(len(Z), min(len(Z), 1024), replace=False)
                order = rng.random((1024, len(pool)), dtype=np.float32)[n % 1024]
                drawn = sorted(pool[pool != y[n]], key=lambda label: order[list(pool).index(label)])[:others]
            drawn = np.array([label for label in drawn if label != y[n]])
            predicted = (X[n] - mean) @ w
            distances = np.linalg.norm(units(Z[drawn]) - predicted, axis=1)
            right[n] = np.linalg.norm(units(Z[y[n]]) - predicted) < distances.min()
    return right.mean()


@pytest.mark.parametrize("others", [9, 99, 1000])
def test_own_labels_are_compared_with_drawn_labels(others):
    X, Z, y = captions()
    score = EMMSDecoded(others=others).fit(X, Z[y]).score_
    # np.unique changes the order of the labels.
    distinct, index = np.unique(Z[y].reshape(len(y), -1), axis=0, return_inverse=True)
    assert score == naive_own_labels(X, distinct.reshape(-1, *Z.shape[1:]), index, 5, others, seed=0)


def test_with_all_other_labels_the_score_is_that_of_classes():
    X, Z, y = captions(N=300, U=20)
    batches = [X[:100], X[100:]]
    own = EMMSDecoded().fit_batches(batches, Z, y, classes=False)
    classes = EMMSDecoded().fit_batches(batches, Z, y, classes=True)
    assert own.score_ == classes.score_
    np.testing.assert_array_equal(own.fold_scores_, classes.fold_scores_)


def test_chance_level_of_own_labels():
    X, Z, y = captions(N=4000, U=3000)
    chance = EMMSDecoded(others=9).fit(np.random.default_rng(1).standard_normal(X.shape), Z[y]).score_
    assert chance == pytest.approx(0.1, abs=0.02)
    assert EMMSDecoded(others=9).fit(X, Z[y]).score_ > 0.5


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 2499), max_size=5))
def test_the_score_does_not_depend_on_the_batches(cuts):
    X, Z, y = captions(N=2500, U=2000)
    whole = EMMSDecoded(others=20).fit_batches([X], Z, y, classes=False).score_
    parts = [part for part in np.split(X, sorted(cuts)) if len(part)]
    assert EMMSDecoded(others=20).fit_batches(parts, Z, y, classes=False).score_ == pytest.approx(whole, abs=1e-12)


def test_labels_with_equal_embeddings_share_a_sample():
    X, Z, y = captions(N=400, U=200, noise=0.0)
    twins = np.concatenate([Z, Z])  # every label has a twin with the same embedding
    y = np.arange(400) % 200
    X = (Z.reshape(200, -1)[y] @ np.random.default_rng(0).standard_normal((16, 12))).astype(np.float32)
    one = EMMSDecoded(others=1000).fit_batches([X], Z, y, classes=False).score_
    score = EMMSDecoded(others=1000).fit_batches([X], twins, np.arange(400), classes=False).score_
    assert one > 0.5
    assert score == pytest.approx(one / 2, abs=0.05)  # other folds


def test_labels_that_no_sample_has_are_not_compared():
    X, Z, y = captions(N=400, U=300)
    whole = EMMSDecoded(others=30).fit_batches([X], Z, y, classes=False).score_
    more = np.concatenate([np.random.default_rng(1).standard_normal((50, 8, 2)), Z, Z])
    assert EMMSDecoded(others=30).fit_batches([X], more, y + 50, classes=False).score_ == whole


def test_label_embeddings_in_a_file_have_the_same_score():
    X, Z, y = captions(N=2500, U=2000)
    Z = Z.astype(np.float32)
    for estimator in (EMMSDecoded(others=20), EMMSDecoded(others=5000)):
        expected = estimator.fit_batches([X], Z, y, classes=False).score_
        assert estimator.fit_batches([X], RowFile(8, 2).append(Z), y, classes=False).score_ == expected


def test_captions_of_one_image_leak_unless_they_are_in_one_fold():
    """Random features per image say nothing of captions, but recognise the image among the other folds."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(100), 5)
    X = rng.standard_normal((100, 300))[image]
    Z = (rng.standard_normal((100, 8)))[image] + 0.1 * rng.standard_normal((500, 8))
    assert EMMSDecoded(others=9).fit(X, Z).score_ > 0.5
    assert EMMSDecoded(others=9).fit(X, Z, groups=image).score_ == pytest.approx(0.1, abs=0.05)
