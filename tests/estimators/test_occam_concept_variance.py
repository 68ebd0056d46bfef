"""Minus the concept variance equals its formula."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from emms.estimators.occam_concept_variance import OccamConceptVariance


def samples(N=60, D=6, C=3):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    return rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


def expected(X, y, alpha):
    d = cdist(*2 * [(X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0))])
    W = 2 ** (-alpha * d / (np.sqrt(X.shape[1]) - d))
    np.fill_diagonal(W, 0)
    return -np.mean([W[n][y != y[n]].sum() / W[n].sum() for n in range(len(X))])


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_it_equals_the_formula(alpha):
    X, y = samples()
    assert OccamConceptVariance(alpha).fit(X, y).score_ == pytest.approx(expected(X, y, alpha), rel=1e-12)


def test_the_block_size_does_not_matter(monkeypatch):
    X, y = samples()
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 500)
    assert OccamConceptVariance().fit(X, y).score_ == pytest.approx(expected(X, y, 2.0), rel=1e-12)


def test_scale_and_offset_of_each_feature_do_not_matter():
    X, y = samples()
    changed = X * np.geomspace(1e-3, 1e3, 6) + np.arange(6)
    assert OccamConceptVariance().fit(changed, y).score_ == pytest.approx(OccamConceptVariance().fit(X, y).score_)


def test_an_outlier_is_compared_with_its_nearest_neighbours():
    # Opposite corners of the square have the maximum distance, where all weights of the first sample vanish.
    X, y = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]), np.array([0, 1, 1])
    assert OccamConceptVariance().fit(X, y).score_ == pytest.approx(-1 / 3)


def test_for_equal_distances_it_is_the_share_of_other_labels():
    y = np.array([0] * 3 + [1] * 2)
    assert OccamConceptVariance().fit(np.ones((5, 2)), y).score_ == pytest.approx(-(3 * 2 / 4 + 2 * 3 / 4) / 5)
