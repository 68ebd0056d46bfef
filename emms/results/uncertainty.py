"""How sure a ranking is: intervals of scores, chances to be among the best, and who can't be told apart.

All candidates are scored on the same folds, so that what makes a fold easy or hard for all of them cancels in their
differences. Folds share training samples, so their scores vary less than those of new samples would; the variance is
corrected for it (Nadeau and Bengio: Inference for the Generalization Error, Machine Learning 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

CONFIDENCE = 0.95
BEST = 3
"""How many places count as the best."""
_DRAWS = 10_000


@dataclass(frozen=True)
class Uncertainty:
    """Of M candidates in the order given."""

    low: np.ndarray
    """Lower end of the score's confidence interval, (M,)."""
    high: np.ndarray
    """Its upper end, (M,)."""
    best: np.ndarray
    """Probability of being among the best, (M,)."""
    rank: np.ndarray
    """Rank, (M,); candidates share one with the first of those from which they can't be told apart."""


def uncertainty(scores: np.ndarray, folds: np.ndarray, seed: int, best: int = BEST) -> Uncertainty:
    """Say how sure the scores of M candidates are.

    scores: (M,), larger is better. folds: (F, M), the score of each fold alone; F >= 2. seed: of the draws behind the
    probabilities. best: how many places count as the best.
    """
    n_folds = len(folds)
    around = folds - folds.mean(axis=0)
    # Of the mean of folds that share their training samples: 1 / F, and test samples over training samples.
    variance = 1 / n_folds + 1 / (n_folds - 1)
    margin = float(student.ppf((1 + CONFIDENCE) / 2, n_folds - 1)) * np.sqrt(variance)

    half = margin * around.std(axis=0, ddof=1)
    return Uncertainty(
        scores - half, scores + half, _among_best(scores, around, variance, seed, best), _ranks(scores, around, margin)
    )


def _among_best(scores: np.ndarray, around: np.ndarray, variance: float, seed: int, best: int) -> np.ndarray:
    """Count how often each candidate is among the best in draws from the scores' joint t distribution."""
    rng, freedom = np.random.default_rng(seed), len(around) - 1
    scale = np.sqrt(variance / rng.chisquare(freedom, _DRAWS))  # includes the 1 / (F - 1) of the covariance
    drawn = scores + (rng.standard_normal((_DRAWS, len(around))) * scale[:, None]) @ around
    if best >= len(scores):
        return np.ones(len(scores))
    last = np.partition(drawn, -best, axis=1)[:, [-best]]
    rounding = 1e-12 * np.abs(last)
    above, tied = drawn > last + rounding, np.abs(drawn - last) <= rounding
    # Equal scores have equal shares of the places that are left.
    shares = (best - above.sum(axis=1)) / tied.sum(axis=1)
    return (above + tied * shares[:, None]).mean(axis=0)


def _ranks(scores: np.ndarray, around: np.ndarray, margin: float) -> np.ndarray:
    ranks = np.empty(len(scores), dtype=np.int64)
    head, rank = -1, 0
    for place, candidate in enumerate(np.argsort(-scores, kind="stable"), start=1):
        apart = margin * np.std(around[:, candidate] - around[:, head], ddof=1)
        if head < 0 or scores[head] - scores[candidate] > apart:
            head, rank = candidate, place
        ranks[candidate] = rank
    return ranks
