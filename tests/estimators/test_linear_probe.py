"""The linear probe is cross-validated logistic regression, without warnings."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emms.errors import EstimatorError
from emms.estimators import linear_probe
from emms.estimators.linear_probe import LinearProbe


def samples(N=150, D=6, C=3, apart=1.0):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    return apart * rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_it_agrees_with_scikit_learn_on_the_same_folds(C, monkeypatch):
    X, y = samples()
    fold = np.random.default_rng(1).permutation(150) % 5
    monkeypatch.setattr(linear_probe, "canonical_order", lambda X: np.arange(len(X)))
    monkeypatch.setattr(linear_probe, "assign_folds", lambda *_: fold)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    expected = cross_val_score(model, X * np.geomspace(1e-3, 1e3, 6), y, cv=PredefinedSplit(fold)).mean()
    assert LinearProbe(C=C).fit(X * np.geomspace(1e-3, 1e3, 6), y).score_ == pytest.approx(expected)


def test_other_folds_give_similar_scores():
    X, y = samples(N=600)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_score(model, X, y, cv=folds).mean()
    assert LinearProbe().fit(X, y).score_ == pytest.approx(expected, abs=0.02)
    assert LinearProbe(seed=1).fit(X, y).score_ == pytest.approx(expected, abs=0.02)


def test_random_labels_score_at_chance_level():
    X, _ = samples(N=300, D=100)
    y = np.random.default_rng(1).integers(3, size=300)
    assert LinearProbe().fit(X, y).score_ < 0.45


def test_a_class_of_one_sample_counts_as_wrong():
    X, y = samples(apart=20.0)
    assert LinearProbe().fit(X, y).score_ == 1
    y[0] = 3
    assert LinearProbe().fit(X, y).score_ == pytest.approx(149 / 150)


def test_a_single_training_class_is_predicted():
    X, y = np.eye(6), np.array([0, 0, 0, 0, 0, 1])
    assert LinearProbe(folds=2).fit(X, y).score_ == pytest.approx(5 / 6, abs=1 / 3)


@pytest.mark.filterwarnings("error")
def test_too_few_iterations_give_no_warning():
    X, y = samples()
    assert LinearProbe(max_iter=1).fit(X, y).score_ > 0.4


def test_too_few_samples_for_the_folds_are_refused():
    X, y = samples(N=4)
    with pytest.raises(EstimatorError, match=r"4 samples cannot be split into 5 folds; .*fewer 'folds'"):
        LinearProbe().fit(X, y)


def test_samples_of_a_group_are_held_out_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    X, y = rng.standard_normal((60, 100))[groups], rng.integers(2, size=60)[groups]
    assert LinearProbe().fit(X, y).score_ > 0.95  # by recognising the group
    assert LinearProbe().fit(X, y, groups).score_ < 0.7
