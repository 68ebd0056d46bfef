"""k-NN on label similarity: compared with a naive computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import class_problem
from scipy.spatial.distance import cdist

from emms.errors import EstimatorError
from emms.estimators.knn_labels import KNNLabels
from emms.moments.rows import RowFile


def captions(N=120, U=90, D1=8, D2=5, K=2, noise=1.0, seed=0):
    """Return features that explain label embeddings, where some samples have the same label."""
    rng = np.random.default_rng(seed)
    Z, y = rng.standard_normal((U, D2, K)) + 3, rng.integers(U, size=N)
    X = Z.reshape(U, -1)[y] @ rng.standard_normal((D2 * K, D1)) + noise * rng.standard_normal((N, D1))
    return X, Z.astype(np.float32), y


def naive(X, Z, k, distance, groups):
    """Compute the score from one label embedding per sample."""
    Z = Z.astype(np.float64)
    Z = Z - Z.mean(axis=0)
    scores = []
    for n, distances in enumerate(cdist(X, X, distance)):
        nearest = [m for m in np.argsort(distances) if m != n and groups[m] != groups[n]][:k]
        for m in nearest:
            cosines = [1 - cdist(Z[n : n + 1, :, e], Z[m : m + 1, :, e], "cosine") for e in range(Z.shape[2])]
            scores.append(np.mean(cosines))
    return np.mean(scores)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5, 100])
@pytest.mark.parametrize("together", [1, 4])
def test_it_equals_the_naive_computation(distance, k, together):
    X, Z, y = captions()
    groups = np.arange(120) // together
    expected = pytest.approx(naive(X, Z[y], k, distance, groups), rel=1e-6)
    assert KNNLabels(k, distance).fit(X, Z, y, groups).score_ == expected
    assert KNNLabels(k, distance).fit(X, Z[y], groups=groups).score_ == expected
    assert KNNLabels(k, distance).fit(X, RowFile(5, 2).append(Z), y, groups).score_ == expected


def test_neighbours_in_the_same_group_do_not_count():
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(60), 5)
    X, Z = (
        rng.standard_normal((60, 20))[image],
        rng.standard_normal((60, 8))[image] + 0.1 * rng.standard_normal((300, 8)),
    )
    assert KNNLabels(4).fit(X, Z).score_ > 0.9
    assert KNNLabels(4).fit(X, Z, groups=image).score_ == pytest.approx(0, abs=0.1)


def test_features_that_explain_labels_score_higher_and_random_ones_score_zero():
    X, Z, y = captions(N=1000, U=800)
    good, noisy = (
        KNNLabels().fit(X + s * np.random.default_rng(1).standard_normal(X.shape), Z, y).score_ for s in (0, 9)
    )
    assert good > noisy + 0.1
    assert KNNLabels().fit(np.random.default_rng(1).standard_normal(X.shape), Z, y).score_ == pytest.approx(0, abs=0.02)


def test_blocks_do_not_matter(monkeypatch):
    X, Z, y = captions()
    X = np.round(X)  # some samples tie
    whole = KNNLabels().fit(X, Z, y).score_
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 1000)
    monkeypatch.setattr("emms.moments.rows.BLOCK_ROWS", 7)
    assert KNNLabels().fit(X, Z, y).score_ == pytest.approx(whole, rel=1e-9)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_samples_and_the_scale_and_rotation_of_labels_do_not_matter(seed):
    X, Z, y = captions()
    rng = np.random.default_rng(seed)
    order, turn = rng.permutation(120), np.linalg.qr(rng.standard_normal((5, 5))).Q
    turned = np.einsum("de,uek->udk", turn, Z) * rng.uniform(0.1, 10) + rng.uniform(-5, 5)
    assert KNNLabels().fit(X[order], turned, y[order]).score_ == pytest.approx(
        KNNLabels().fit(X, Z, y).score_, rel=1e-4
    )


def test_separable_classes_score_one():
    X, Z, y = class_problem(noise=0.01)
    assert KNNLabels().fit(X, Z, y).score_ == pytest.approx(1)


def test_a_label_that_is_the_mean_of_all_has_no_similarity():
    Z = np.array([[1.0, 0], [-1, 0], [0, 0]]) + 1 / 3
    X = np.random.default_rng(0).standard_normal((30, 4))
    y = np.repeat([0, 1, 2], 10)
    assert np.isfinite(KNNLabels().fit(X, Z, y).score_)
    assert KNNLabels().fit(np.eye(3)[y] + 0.01 * X[:, :3], Z, y).score_ == pytest.approx(2 / 3)


def test_invalid_input_raises():
    X, Z, y = captions()
    with pytest.raises(EstimatorError, match=r"5 samples have as few as 4 neighbours each, not k = 5; .*smaller 'k'"):
        KNNLabels().fit(X[:5], Z, y[:5])
    with pytest.raises(EstimatorError, match="as few as 3 neighbours"):
        KNNLabels().fit(X[:8], Z, y[:8], np.repeat([0, 1], [5, 3]))
    with pytest.raises(EstimatorError, match="one per row"):
        KNNLabels().fit(X, Z, y[:-1])
    with pytest.raises(EstimatorError, match=r"must be in 0 … 49"):
        KNNLabels().fit(X, Z[:50], y)
    with pytest.raises(EstimatorError, match="label embeddings contain nan"):
        KNNLabels().fit(X, np.full_like(Z, np.nan), y)
