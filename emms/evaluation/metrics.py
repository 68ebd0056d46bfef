"""Metrics of the agreement of scores with the truth, two arrays with one number per model in the same order.

For all metrics:

- Larger is better, in the scores and in the truth. If the truth is a loss or an error rate, pass its negative.
- The order of the models does not matter.
- A model whose score or truth is nan is left out.
- A metric is nan if it is undefined. Correlations are undefined with fewer than three models (two always correlate
  perfectly), or when all scores or all truth values are equal. rel@k and recall@k are undefined with k models or fewer,
  where they would always be 1. So with a single model every metric is undefined.
- Arrays that are not numeric, not one-dimensional, of different lengths or not finite raise EMMSError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from emms.errors import EMMSError


def weighted_kendall_tau(scores: ArrayLike, truth: ArrayLike) -> float:
    """Weighted Kendall tau, in [-1, 1], as `scipy.stats.weightedtau` with its defaults.

    Swapping the models at ranks r and s (from 1) has weight 1/r + 1/s. The value is the mean of two: one with ranks by
    score (ties broken by truth), one with ranks by truth (ties broken by score). This is the usual metric of papers on
    transferability estimation, such as EMMS, and of the Transfer-Learning-Library.

    Vigna, "A weighted correlation index for rankings with ties", WWW 2015.
    """
    x, y = _aligned(scores, truth)
    return float(stats.weightedtau(x, y).statistic) if _vary(x, y) else nan


def kendall_tau(scores: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's tau-b, which corrects for ties, in [-1, 1].

    Kendall, "The treatment of ties in ranking problems", Biometrika 1945.
    """
    x, y = _aligned(scores, truth)
    return float(stats.kendalltau(x, y).statistic) if _vary(x, y) else nan


def spearman(scores: ArrayLike, truth: ArrayLike) -> float:
    """Spearman's rho: the Pearson correlation of the ranks, tied models sharing their mean rank, in [-1, 1]."""
    x, y = _aligned(scores, truth)
    return _correlation(stats.rankdata(x), stats.rankdata(y), np.ones(len(y)))


def pearson(scores: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's correlation of scores and truth, in [-1, 1]."""
    x, y = _aligned(scores, truth)
    return _correlation(x, y, np.ones(len(y)))


def weighted_pearson(scores: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's correlation in which the weight of a model is 1 / its rank in the truth, in [-1, 1].

    sum w (x - mean x)(y - mean y) / sqrt(sum w (x - mean x)^2 * sum w (y - mean y)^2), with w-weighted means. The best
    model has weight 1, the second 1/2, the third 1/3; models with equal truth have the mean weight of their ranks.
    """
    x, y = _aligned(scores, truth)
    return _correlation(x, y, _weights(y))


def rel_at_k(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Best truth among the `k` top-scored models, divided by the best truth of all models.

    Ties count against the estimator: of models with equal scores, the worst is ranked first. nan with `k` models or
    fewer, where it would always be 1, and if the best truth is not positive, where a ratio is meaningless (as for
    negated losses). Raises EMMSError if `k` is less than 1.
    """
    x, y = _aligned(scores, truth)
    _check_cutoff(k)
    if len(y) <= k or y.max() <= 0:
        return nan
    return float(y[_worst_first(x, y)[:k]].max() / y.max())


def recall_at_k(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """1 if the top-scored model is among the `k` truly best, 0 otherwise.

    A model is among the `k` best if fewer than `k` are better, so models that tie with the k-th are among them. Ties
    count against the estimator: of several top-scored models, the worst is taken. nan with `k` models or fewer, where
    it would always be 1. Raises EMMSError if `k` is less than 1.
    """
    x, y = _aligned(scores, truth)
    _check_cutoff(k)
    if len(y) <= k:
        return nan
    top = y[_worst_first(x, y)[0]]
    return float(np.count_nonzero(y > top) < k)


CUTOFFS = (1, 3, 5)
"""The k of rel@k and recall@k in `METRICS`."""

METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "weighted_kendall_tau": weighted_kendall_tau,
    "kendall_tau": kendall_tau,
    "spearman": spearman,
    "pearson": pearson,
    "weighted_pearson": weighted_pearson,
    **{f"rel@{k}": partial(rel_at_k, k=k) for k in CUTOFFS},
    **{f"recall@{k}": partial(recall_at_k, k=k) for k in CUTOFFS},
}
"""All metrics, functions of scores and truth, by the names of their columns in an evaluation."""


def _aligned(scores: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 arrays, (models,), without models that have nan in either."""
    try:
        x, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise EMMSError(f"scores and truth must be arrays of numbers: {cause}") from cause
    if x.ndim != 1 or x.shape != y.shape:
        raise EMMSError(
            f"scores have shape {x.shape} and the truth {y.shape}; give one number per model in each, in the same order"
        )
    for what, values in (("score", x), ("truth", y)):
        if np.isinf(values).any():
            index = int(np.flatnonzero(np.isinf(values))[0])
            raise EMMSError(f"the {what} of model {index} (from 0) is infinite; use nan if there is no finite number")
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _check_cutoff(k: int) -> None:
    if k < 1:
        raise EMMSError(f"k is {k}; it must be at least 1")


def _vary(x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether the correlation of x and y is defined."""
    return len(x) >= 3 and bool(x.min() < x.max() and y.min() < y.max())


def _correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted Pearson correlation, nan if it is undefined."""
    if not _vary(x, y):
        return nan
    x, y = _spread_over_unit(x), _spread_over_unit(y)
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    r = np.sum(weights * x * y) / sqrt(np.sum(weights * x * x) * np.sum(weights * y * y))
    return float(np.clip(r, -1, 1))


def _spread_over_unit(values: np.ndarray) -> np.ndarray:
    """Scale values to [0, 1], so that squares do not overflow and a large mean costs no precision.

    All are nan if the difference between the largest and the smallest overflows.
    """
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high - low < inf else np.full_like(values, nan)


def _weights(truth: np.ndarray) -> np.ndarray:
    """Return 1 / rank in the truth of each model; for tied models, the mean over their ranks."""
    _, group = np.unique(-truth, return_inverse=True)
    total = np.bincount(np.sort(group), weights=1 / np.arange(1, len(truth) + 1))
    return (total / np.bincount(group))[group]


def _worst_first(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the indices that sort by score, best first; of models with equal scores the worst comes first."""
    return np.lexsort((truth, -scores))
