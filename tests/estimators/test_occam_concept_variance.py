"""Concept variance is what the formula says, with larger better."""

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
def test_it_is_the_formula(alpha):
    X, y = samples()
    assert OccamConceptVariance(alpha).fit(X, y).score_ == pytest.approx(expected(X, y, alpha), rel=1e-12)


def test_blocks_make_no_difference(monkeypatch):
    X, y = samples()
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 500)
    assert OccamConceptVariance().fit(X, y).score_ == pytest.approx(expected(X, y, 2.0), rel=1e-12)


def test_scale_and_offset_of_each_feature_do_not_matter():
    X, y = samples()
    changed = X * np.geomspace(1e-3, 1e3, 6) + np.arange(6)
    assert OccamConceptVariance().fit(changed, y).score_ == pytest.approx(OccamConceptVariance().fit(X, y).score_)


def test_a_lonely_sample_has_the_nearest_of_the_far_ones_for_neighbours():
    # Opposite corners of the square are as far apart as can be, and all weights of the first sample vanish.
    X, y = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]), np.array([0, 1, 1])
    assert OccamConceptVariance().fit(X, y).score_ == pytest.approx(-1 / 3)


def test_the_share_of_other_labels_where_all_are_as_near():
    y = np.array([0] * 3 + [1] * 2)
    assert OccamConceptVariance().fit(np.ones((5, 2)), y).score_ == pytest.approx(-(3 * 2 / 4 + 2 * 3 / 4) / 5)
