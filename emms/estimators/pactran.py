"""PACTran-Dirichlet and PACTran-Gamma: PAC-Bayesian bounds on learning the labels from the source classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy.special import digamma, gammaln

from emms.estimators.base import LogitsEstimator
from emms.estimators.samples import class_sums, row_blocks
from emms.estimators.settings import Positive

_ROUNDS = 10
"""Number of variational iterations: the authors' value, on which the score depends."""


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        # Finite, so that 0 times the logarithm of a probability of 0 is 0.
        result = np.maximum(logits - logits.max(axis=1, keepdims=True), -1e300)
    result -= np.log(np.exp(result).sum(axis=1, keepdims=True))
    return result


def _variational(
    log_s: np.ndarray, y: np.ndarray, prior: np.ndarray, log_weights: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, float]:
    """Return the posterior's parameters a (C, S) and the divergence sum_n KL(q_n || s_n), after the last iteration.

    q_n(z), the probability that source class z accounts for label y_n, starts as the network's s_n(z), passed as log_s
    (N, S). An iteration sets a = prior + sum_n [y_n = y] q_n(z), and then q_n(z) in proportion to
    s_n(z) exp(log_weights(a)[y_n, z]).
    """
    n_classes = len(prior)
    assigned = np.zeros((n_classes, log_s.shape[1]))
    for rows in row_blocks(*log_s.shape):
        assigned += class_sums(np.exp(log_s[rows]), y[rows], n_classes)
    for _ in range(_ROUNDS):
        a = prior + assigned
        weights = log_weights(a)
        assigned, log_total = np.zeros_like(a), 0.0
        for rows in row_blocks(*log_s.shape):
            q = log_s[rows] + weights[y[rows]]
            largest = q.max(axis=1, keepdims=True)
            q = np.exp(q - largest, out=q)
            total = q.sum(axis=1, keepdims=True)
            q /= total
            assigned += class_sums(q, y[rows], n_classes)
            log_total += float((largest + np.log(total)).sum())
        # log q - log s = weights - log_total, so the divergence needs no second pass.
        divergence = float((assigned * weights).sum()) - log_total
    return a, divergence


class _PACTran(LogitsEstimator):
    cost: ClassVar[str] = "40 N S"

    def __init__(self, alpha: Positive = 1.0) -> None:
        self.alpha = alpha

    def _prior(self, y: np.ndarray, n_classes: int) -> np.ndarray:
        return self.alpha * np.bincount(y, minlength=n_classes)[:, None] / len(y)


class PACTranDirichlet(_PACTran):
    """Minus the PAC-Bayesian bound of a Dirichlet posterior on P(y | z), per sample and class: larger is better.

    s_n(z), the softmax of the logits (N, S), is the network's probability of each of its S source classes; labels
    y (N,) come from p(y_n | x_n) = sum_z P(y_n | z) s_n(z), the model behind LEEP, with a Dirichlet prior on each
    P(. | z) of parameters a0 = alpha times the share of each class. With q and a from ten variational iterations, where
    log q_nz is log s_nz + digamma(a_yz) - digamma(sum_y a_yz) up to a constant, the score is
        (sum_z log B(a_z) - S log B(a0) - sum_n KL(q_n || s_n)) / (N C),     B the multivariate beta function.
    The authors' value is minus this score, so that smaller is better.

    alpha: strength of the prior.

    Ding, Chen, Levinboim, Changpinyo, Soricut: PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
    Pretrained Models to Classification Tasks, ECCV 2022.
    """

    name: ClassVar[str] = "pactran-dirichlet"
    summary: ClassVar[str] = "bound on the loss of labels given source classes, Dirichlet prior"
    paper: ClassVar[str] = "Ding et al., ECCV 2022, arXiv 2203.05126"

    def _score(self, logits: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        prior = self._prior(y, n_classes)
        a, divergence = _variational(
            _log_probabilities(logits), y, prior, lambda a: digamma(a) - digamma(a.sum(axis=0))
        )
        evidence = (_log_beta(a) - _log_beta(prior)).sum()
        return float((evidence - divergence) / (len(y) * n_classes))


class PACTranGamma(_PACTran):
    """Minus the PAC-Bayesian bound of Gamma posteriors on the weights of source classes: larger is better.

    s_n(z), the softmax of the logits (N, S), is the network's probability of each of its S source classes; labels
    y (N,) come from p(y_n | x_n) in proportion to sum_z v_yz s_n(z), with a Gamma(a0, 1) prior on each weight v_yz,
    a0 = alpha times the share of class y. With q and a from ten variational iterations, where log q_nz is
    log s_nz + digamma(a_yz) up to a constant, and l_n = sum_yz a_yz s_n(z), the score is
        (sum_yz (log Gamma(a_yz) - log Gamma(a0_y)) - sum_n (KL(q_n || s_n) + log l_n - 1)) / (N C) - 1.
    The authors' value is minus this score, so that smaller is better.

    alpha: strength of the prior.

    Ding, Chen, Levinboim, Changpinyo, Soricut: PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
    Pretrained Models to Classification Tasks, ECCV 2022.
    """

    name: ClassVar[str] = "pactran-gamma"
    summary: ClassVar[str] = "bound on the loss of labels given source classes, Gamma prior"
    paper: ClassVar[str] = "Ding et al., ECCV 2022, arXiv 2203.05126"

    def _score(self, logits: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        log_s, prior = _log_probabilities(logits), self._prior(y, n_classes)
        a, divergence = _variational(log_s, y, prior, digamma)
        evidence = (gammaln(a) - gammaln(prior)).sum()
        totals = a.sum(axis=0)
        log_normaliser = sum(np.log(np.exp(log_s[rows]) @ totals).sum() for rows in row_blocks(*log_s.shape))
        return float((evidence - divergence - log_normaliser + len(y)) / (len(y) * n_classes) - 1)


def _log_beta(a: np.ndarray) -> np.ndarray:
    return gammaln(a).sum(axis=0) - gammaln(a.sum(axis=0))
