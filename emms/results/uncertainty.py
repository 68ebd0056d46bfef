"""Uncertainty of a ranking: confidence intervals of scores, probabilities of being among the best, and ties.

All candidates are scored on the same folds, so effects of a fold that all of them share cancel in their differences.
Folds share training samples, so their scores vary less than those of independent experiments; the variance is corrected
for that (Nadeau and Bengio: Inference for the Generalization Error, Machine Learning 2003).

Some scores are proportions, such as the accuracy on N held-out samples. Folds that agree by chance, or because all of
them are perfect, would make such a score look more certain than is possible with N samples. Therefore its variance is
at least the binomial one, and its interval is that of Wilson (Probable inference, the law of succession, and
statistical inference, JASA 1927), which is within [0, 1] and has a positive width even if all folds are perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from emms.errors import EMMSError

CONFIDENCE = 0.95
BEST = 3
"""Number of candidates that count as the best."""
ROUNDING = 1e-9
"""Scores whose relative difference is at most this are equal: other processors or BLAS may round them differently."""
_DRAWS = 10_000
_TWO_SIDED = (1 + CONFIDENCE) / 2


@dataclass(frozen=True)
class Uncertainty:
    """The uncertainty of M scores, in the order of the candidates."""

    low: np.ndarray
    """Lower end of the score's confidence interval, (M,)."""
    high: np.ndarray
    """Upper end of the score's confidence interval, (M,)."""
    best: np.ndarray
    """Probability of being among the best, (M,)."""
    rank: np.ndarray
    """Rank from 1, (M,); a candidate shares the rank of a better one if their difference is not significant."""


def uncertainty(
    scores: np.ndarray, folds: np.ndarray, seed: int, best: int = BEST, samples: int | None = None
) -> Uncertainty:
    """Return confidence intervals, probabilities of being among the best, and ranks with ties, from scores of folds.

    scores: (M,), one per candidate, larger is better. folds: (F, M), the score on each of F >= 2 folds. seed: of the
    random draws for the probabilities. best: number of candidates that count as the best. samples: if the scores are
    proportions, the number N of samples in all folds; None if they are not. A mean over N samples of values in [0, 1]
    counts as a proportion too, since its variance is not larger.

    Raises EMMSError if proportions are outside [0, 1].
    """
    if samples is not None:
        scores, folds = _checked_proportions(scores), _checked_proportions(folds)
    # Variance of the mean of F folds relative to that of one fold; the second term is Nadeau and Bengio's.
    of_mean = 1 / len(folds) + 1 / (len(folds) - 1)
    low, high = _t_interval(scores, folds, of_mean) if samples is None else _wilson(scores, folds, of_mean, samples)

    # Merge candidates that are identical up to rounding, and sort them, so that their order does not matter.
    rows = np.apply_along_axis(without_rounding, 1, np.vstack([scores, folds]))
    distinct, place, counts = np.unique(rows, axis=1, return_inverse=True, return_counts=True)
    place, differences = place.reshape(-1), _Differences(distinct[0], distinct[1:], of_mean, samples)
    some_are_not = best < len(scores)
    chances = _among_best(differences.draw(seed)[:, place], best) if some_are_not else np.ones(len(scores))
    return Uncertainty(low, high, chances, differences.ranks(counts)[place])


def _checked_proportions(values: np.ndarray) -> np.ndarray:
    outside = values[~((values >= -ROUNDING) & (values <= 1 + ROUNDING))]
    if outside.size:
        raise EMMSError(
            f"a score or a fold's score is {outside[0]:g}, but proportions are between 0 and 1; an estimator whose "
            f"scores are not proportions must have `proportion = False`"
        )
    return np.clip(values, 0, 1)


def _t_interval(scores: np.ndarray, folds: np.ndarray, of_mean: float) -> tuple[np.ndarray, np.ndarray]:
    half = student.ppf(_TWO_SIDED, len(folds) - 1) * np.sqrt(of_mean * folds.var(axis=0, ddof=1))
    return scores - half, scores + half


def _wilson(scores: np.ndarray, folds: np.ndarray, of_mean: float, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of proportions (M,), for the effective number of samples, by the folds' variance."""
    n_folds, binomial = len(folds), scores * (1 - scores)
    # Variance of the folds relative to that of independent samples: 1 on average if the samples are independent.
    dispersion = folds.var(axis=0, ddof=1) * samples / n_folds
    dispersion = np.divide(dispersion, binomial, out=np.ones_like(scores), where=binomial > 0)
    # The dispersion is Pearson's chi-squared statistic of e errors in F folds, divided by F - 1. Its variance is
    # 2 (1 - 1/e) / (F - 1), that of a chi-squared distribution with (F - 1) e / (e - 1) degrees of freedom: with few
    # errors it is less than for the F - 1 degrees of the t quantile. With one error the dispersion is always 1;
    # therefore it is set to 1 with none.
    rare = samples * np.minimum(scores, 1 - scores)
    several = rare > 1
    freedom = np.divide((n_folds - 1) * rare, rare - 1, out=np.full_like(scores, np.inf), where=several)
    corrected = n_folds * of_mean * np.where(several, dispersion, 1)
    k = np.maximum(student.ppf(_TWO_SIDED, freedom) ** 2 * corrected, norm.ppf(_TWO_SIDED) ** 2) / samples
    middle = (scores + k / 2) / (1 + k)
    half = np.sqrt(k * binomial + k**2 / 4) / (1 + k)
    return np.clip(middle - half, 0, scores), np.clip(middle + half, scores, 1)


def without_rounding(values: np.ndarray) -> np.ndarray:
    """Return values (M,) with those that differ only by rounding made equal."""
    order = np.argsort(values)
    ordered = values[order]
    steps = np.diff(ordered) > ROUNDING * np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1]))
    group = np.concatenate([[0], np.cumsum(steps)])
    level = np.empty_like(values)
    level[order] = ordered[np.searchsorted(group, group)]
    return level


class _Differences:
    """Differences between U distinct candidates, worst first: scores (U,), folds (F, U); the rest as above."""

    def __init__(self, scores: np.ndarray, folds: np.ndarray, of_mean: float, samples: int | None) -> None:
        self._scores, self._of_mean = scores, of_mean
        self._around = folds - folds.mean(axis=0)
        # Variance of each difference, (U, U): estimated from the folds, and the minimum for N samples.
        self._variance = of_mean * np.array([(self._around.T - one).var(axis=1, ddof=1) for one in self._around.T])
        d = np.abs(scores[:, None] - scores)
        # The variance of the difference d of paired proportions is minimal if the better candidate is right on every
        # sample on which the other is right, so that they differ on a fraction d of the samples.
        self._least = np.zeros_like(d) if samples is None else (d - d**2) / samples

    def ranks(self, counts: np.ndarray) -> np.ndarray:
        """Return ranks (U,); candidates share the rank of the best one from which they do not differ significantly.

        counts: the number of candidates merged into each of the U, (U,).
        """
        significant = np.maximum(
            student.ppf(_TWO_SIDED, len(self._around) - 1) * np.sqrt(self._variance),
            norm.ppf(_TWO_SIDED) * np.sqrt(self._least),
        )
        ranks = np.empty(len(counts), dtype=np.int64)
        head, rank, before = len(counts) - 1, 1, 0
        for one in reversed(range(len(counts))):
            if self._scores[head] - self._scores[one] > significant[head, one]:
                head, rank = one, before + 1
            ranks[one] = rank
            before += counts[one]
        return ranks

    def draw(self, seed: int) -> np.ndarray:
        """Return random draws (_DRAWS, U) of the scores, given their uncertainty."""
        rng, freedom = np.random.default_rng(seed), len(self._around) - 1
        scale = np.sqrt(self._of_mean / rng.chisquare(freedom, _DRAWS))  # includes the 1 / (F - 1) of the covariance
        drawn = self._scores + (rng.standard_normal((_DRAWS, len(self._around))) * scale[:, None]) @ self._around
        # If differences vary less over the folds than the minimum for N samples, add the missing variance by a random
        # walk from the worst candidate to the best, so that candidates with similar scores move together.
        missing = np.maximum(self._least - self._variance, 0)
        times = np.zeros(len(self._scores))
        for one in range(1, len(times)):
            times[one] = np.max(times[:one] + missing[one, :one])
        if times[-1] > 0:
            steps = rng.standard_normal((_DRAWS, len(times) - 1)) * np.sqrt(np.diff(times))
            drawn[:, 1:] += steps.cumsum(axis=1)
        return drawn


def _among_best(drawn: np.ndarray, best: int) -> np.ndarray:
    """Return the fraction of draws (_DRAWS, M) in which each candidate is among the best."""
    last = np.partition(drawn, -best, axis=1)[:, [-best]]
    above, tied = drawn > last, drawn == last
    # Candidates with equal scores share the remaining places.
    shares = (best - above.sum(axis=1)) / tied.sum(axis=1)
    return (above + tied * shares[:, None]).mean(axis=0)
