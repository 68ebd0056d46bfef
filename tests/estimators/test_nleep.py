"""NLEEP is LEEP of a mixture's posteriors."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from emms.errors import EstimatorError
from emms.estimators.leep import leep
from emms.estimators.nleep import NLEEP


def clusters(N=300, D=20, C=3, apart=4.0):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    return apart * rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


@pytest.mark.parametrize("covariance", ["diag", "full"])
@pytest.mark.parametrize("D", [20, 400])
def test_it_agrees_with_scikit_learn(covariance, D):
    # With one component per class and distant classes, the initialisation does not matter.
    X, y = clusters(D=D, apart=8.0 if covariance == "diag" else 20.0)
    scores = PCA(0.8, svd_solver="full").fit_transform(X)
    scores /= scores[:, 0].std()
    mixture = GaussianMixture(3, covariance_type=covariance, n_init=3, random_state=1).fit(scores)
    expected = leep(mixture.predict_proba(scores), y, 3)
    assert NLEEP(1, covariance=covariance).fit(X, y).score_ == pytest.approx(expected, abs=1e-6)


def test_all_energy_is_all_components():
    X, y = clusters()
    assert NLEEP(energy=1.0).fit(X, y).score_ == pytest.approx(NLEEP(energy=1 - 1e-12).fit(X, y).score_, rel=1e-6)


def test_a_seed_gives_one_score():
    X, y = clusters(apart=0.5)
    assert NLEEP(seed=3).fit(X, y).score_ == NLEEP(seed=3).fit(X, y).score_
    assert NLEEP(seed=3).fit(X, y).score_ != NLEEP(seed=4).fit(X, y).score_


def test_for_equal_classes_the_score_is_minus_the_label_entropy():
    _, y = clusters()
    assert NLEEP().fit(np.ones((300, 4)), y).score_ == pytest.approx(-np.log(3))


def test_too_few_samples_for_the_mixture_are_refused():
    X, y = clusters(N=14)
    with pytest.raises(EstimatorError, match=r"15 components needs as many samples, not 14; .*'components_per_class'"):
        NLEEP().fit(X, y)
    assert np.isfinite(NLEEP(2).fit(X, y).score_)
