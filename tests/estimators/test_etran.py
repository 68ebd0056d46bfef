"""ETran is a weighted sum of discriminant analysis and free energy."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from emms.estimators.etran import ETran
from emms.estimators.lda import LDA


def samples(N=200, D=6, C=3, apart=1.0):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    return apart * rng.standard_normal((C, D))[y] + 0.3 * rng.standard_normal((N, D)), y


def test_it_equals_the_formula():
    X, y = samples(apart=0.3)
    means = np.array([X[y == c].mean(axis=0) for c in range(3)])
    W = sum(np.outer(x - means[c], x - means[c]) for x, c in zip(X, y, strict=True)) / 200
    shrinkage = np.exp(-5 * np.linalg.eigvalsh(W)[-1])
    S = np.linalg.inv((1 - shrinkage) * W + shrinkage * np.trace(W) / 6 * np.eye(6))
    logits = np.array([[x @ S @ m - m @ S @ m / 2 + np.log(np.mean(y == c)) for c, m in enumerate(means)] for x in X])
    classification = softmax(logits, axis=1)[np.arange(200), y].mean()
    energy = np.mean(sorted(logsumexp(x) for x in X)[:20])
    etran = ETran(lowest=0.1).fit(X, y)
    assert etran.classification_ == pytest.approx(classification, rel=1e-10)
    assert etran.energy_ == pytest.approx(energy, rel=1e-12)
    e = energy - np.log(6)
    assert etran.score_ == pytest.approx(0.85 * classification + 0.15 * e / (1 + abs(e)), rel=1e-10)


def test_the_lowest_energy_of_few_samples_is_that_of_one():
    X, y = samples()
    assert ETran().fit(X[:50], y[:50]).energy_ == logsumexp(X[:50], axis=1).min()


def test_more_features_of_the_same_kind_do_not_raise_the_energy_part():
    X, y = samples()
    once, twice = ETran().fit(X, y), ETran().fit(np.hstack([X, X]), y)
    assert twice.energy_ - once.energy_ == pytest.approx(np.log(2))
    assert twice.score_ - 0.85 * twice.classification_ == pytest.approx(once.score_ - 0.85 * once.classification_)


def test_classification_is_that_of_lda():
    X, y = samples()
    assert ETran().fit(X, y).classification_ == LDA().fit(X, y).score_


def test_classification_is_invariant_to_shifts():
    X, y = samples()
    X = np.round(X * 2**10) / 2**10
    assert ETran().fit(X + 2.0**20, y).classification_ == pytest.approx(ETran().fit(X, y).classification_, rel=1e-9)
