"""INT is the mean distance between classes, with equal weight for each pair of classes."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from emms.estimators.occam_int import OccamINT


def samples(N=90, D=6, C=4):
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(C), rng.choice(C, p=np.arange(1, C + 1) / (C * (C + 1) / 2), size=N - C)])
    return rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


def expected(X, y):
    return np.mean([cdist(X[y == a], X[y == b]).mean() for a, b in combinations(range(y.max() + 1), 2)])


@pytest.mark.parametrize("C", [2, 4])
def test_it_equals_the_formula(C):
    X, y = samples(C=C)
    assert OccamINT().fit(X, y).score_ == pytest.approx(expected(X, y), rel=1e-12)
    spread = np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert OccamINT("spread").fit(X, y).score_ == pytest.approx(expected(X, y) / spread, rel=1e-12)


def test_the_block_size_does_not_matter(monkeypatch):
    X, y = samples()
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 1000)
    assert OccamINT().fit(X, y).score_ == pytest.approx(expected(X, y), rel=1e-12)


def test_raw_scores_are_proportional_to_the_features():
    X, y = samples()
    assert OccamINT().fit(2 * X, y).score_ == pytest.approx(2 * OccamINT().fit(X, y).score_)


def test_identical_samples_have_distance_zero():
    y = np.arange(10) % 2
    assert OccamINT().fit(np.full((10, 3), 0.1), y).score_ == 0
    assert OccamINT("spread").fit(np.full((10, 3), 0.1), y).score_ == 0
