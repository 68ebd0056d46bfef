"""k-NN: leave-one-out accuracy, with shared ties and bounded memory."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from emms.errors import EstimatorError
from emms.estimators.knn import KNN


def samples(N=150, D=6, C=4):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    return 0.8 * rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_nearest_neighbour_agrees_with_scikit_learn(distance):
    X, y = samples()
    accuracy = cross_val_score(KNeighborsClassifier(1, metric=distance), X, y, cv=LeaveOneOut()).mean()
    assert KNN(1, distance).fit(X, y).score_ == pytest.approx(accuracy, rel=1e-12)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [2, 5, 149])
def test_it_is_the_accuracy_with_ties_shared(distance, k):
    X, y = samples()
    right = 0.0
    for n, distances in enumerate(cdist(X, X, distance)):
        nearest = [m for m in np.argsort(distances) if m != n][:k]
        votes = np.bincount(y[nearest], minlength=4)
        right += (votes[y[n]] == votes.max()) / (votes == votes.max()).sum()
    assert KNN(k, distance).fit(X, y).score_ == pytest.approx(right / 150, rel=1e-12)


def test_the_block_size_does_not_matter(monkeypatch):
    X, y = samples()
    whole = KNN().fit(X, y).score_
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 1000)
    assert KNN().fit(X, y).score_ == pytest.approx(whole, rel=1e-12)


def test_all_samples_at_the_distance_of_the_kth_vote():
    # All samples are equal: all others vote, and the majority wins.
    y = np.array([0] * 7 + [1] * 3)
    for value in (0.0, 0.1, 1e9 / 3):
        assert KNN(1).fit(np.full((10, 5), value), y).score_ == pytest.approx(0.7)
        assert KNN(1, "euclidean").fit(np.full((10, 5), value), y).score_ == pytest.approx(0.7)


def test_cosine_distance_does_not_depend_on_lengths():
    X, y = samples()
    lengths = np.random.default_rng(1).uniform(1e-3, 1e3, size=(150, 1))
    assert KNN().fit(lengths * X, y).score_ == KNN().fit(X, y).score_
    assert KNN(5, "euclidean").fit(lengths * X, y).score_ != KNN(5, "euclidean").fit(X, y).score_


def test_a_sample_of_zeros_has_no_direction():
    X, y = samples()
    X[0] = 0
    assert np.isfinite(KNN().fit(X, y).score_)


def test_memory_does_not_grow_with_the_square_of_the_samples():
    X, y = samples(N=12_000, D=4)
    tracemalloc.start()
    KNN().fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6  # all distances would be 1,152 MB


def test_too_few_neighbours_are_refused():
    X, y = samples(N=5)
    with pytest.raises(EstimatorError, match=r"5 samples have as few as 4 neighbours each, not k = 5; .*smaller 'k'"):
        KNN().fit(X, y)


def test_samples_of_a_group_are_not_neighbours_of_each_other():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 4)
    X, y = rng.standard_normal((20, 6))[groups] + 1e-3 * rng.standard_normal((80, 6)), rng.integers(2, size=20)[groups]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    right = []
    for n in range(80):
        others = np.flatnonzero(groups != groups[n])
        nearest = others[np.argsort(-unit[others] @ unit[n])[:5]]
        right.append(np.bincount(y[nearest], minlength=2).argmax() == y[n])
    assert KNN().fit(X, y, groups).score_ == pytest.approx(np.mean(right))
    assert KNN(k=3).fit(X, y).score_ == 1  # the other samples of the group
    with pytest.raises(EstimatorError, match="80 samples have as few as 40 neighbours each, not k = 41"):
        KNN(k=41).fit(X, y, np.arange(80) % 2)
    with pytest.raises(EstimatorError, match="give one per sample"):
        KNN().fit(X, y, groups[:-1])
