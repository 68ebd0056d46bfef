"""PACTran-Dirichlet and PACTran-Gamma equal minus the authors' bounds."""

import numpy as np
import pytest
from scipy.special import digamma, gammaln, log_softmax, logsumexp

from emms.estimators.pactran import PACTranDirichlet, PACTranGamma


def samples(N=60, S=7, C=4):
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return 3 * rng.standard_normal((C, S))[y] + rng.standard_normal((N, S)), y


def rounds(logits, y, a0, weights):
    """The variational iteration in plain loops: parameters a (C, S) and the divergence of each sample, (N,)."""
    log_s, C = log_softmax(logits, axis=1), len(a0)
    q = np.exp(log_s)
    for _ in range(10):
        a = np.array([[a0[c] + q[y == c, z].sum() for z in range(q.shape[1])] for c in range(C)])
        log_q = log_s + weights(a)[y]
        log_q -= logsumexp(log_q, axis=1, keepdims=True)
        q = np.exp(log_q)
    return a, (q * (log_q - log_s)).sum(axis=1)


def log_beta(a):
    return gammaln(a).sum() - gammaln(a.sum())


@pytest.mark.parametrize("alpha", [0.1, 1.0, 20.0])
def test_dirichlet_equals_the_formula(alpha):
    logits, y = samples()
    a0 = alpha * np.bincount(y) / 60
    a, divergence = rounds(logits, y, a0, lambda a: digamma(a) - digamma(a.sum(axis=0)))
    bound = sum(log_beta(a[:, z]) - log_beta(a0) for z in range(7)) - divergence.sum()
    assert PACTranDirichlet(alpha).fit(logits, y).score_ == pytest.approx(bound / (60 * 4), rel=1e-10)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 20.0])
def test_gamma_equals_the_formula(alpha):
    logits, y = samples()
    a0 = alpha * np.bincount(y) / 60
    a, divergence = rounds(logits, y, a0, digamma)
    normalisers = np.exp(log_softmax(logits, axis=1)) @ a.sum(axis=0)
    gains = sum(gammaln(a[c, z]) - gammaln(a0[c]) for c in range(4) for z in range(7))
    loss = (-gains + (divergence + np.log(normalisers) - 1).sum()) / (60 * 4) + 1
    assert PACTranGamma(alpha).fit(logits, y).score_ == pytest.approx(-loss, rel=1e-10)


@pytest.mark.parametrize("estimator", [PACTranDirichlet(), PACTranGamma()])
def test_the_block_size_does_not_matter(estimator, monkeypatch):
    logits, y = samples()
    whole = estimator.fit(logits, y).score_
    monkeypatch.setattr("emms.estimators.samples._BLOCK_NUMBERS", 50)
    assert estimator.fit(logits, y).score_ == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("estimator", [PACTranDirichlet(), PACTranGamma()])
def test_extreme_logits(estimator):
    _, y = samples()
    certain = estimator.fit(1e6 * np.eye(7)[y], y).score_
    assert np.isfinite(certain)
    assert certain > estimator.fit(1e6 * np.eye(7)[np.roll(y, 1)], y).score_
    extreme = np.zeros((60, 7))
    extreme[0, :2] = 1.7e308, -1.7e308  # their difference overflows float64
    assert np.isfinite(estimator.fit(extreme, y).score_)
