"""Intervals, chances and ties from the scores of folds."""

import numpy as np
import pytest
from scipy.stats import t

from emms.results.uncertainty import uncertainty


def test_the_interval_is_the_corrected_t_interval_of_the_folds():
    folds = np.array([[0.1], [0.3], [0.2], [0.25], [0.4]])
    found = uncertainty(folds.mean(axis=0), folds, seed=0)
    half = t.ppf(0.975, 4) * np.sqrt(1 / 5 + 1 / 4) * folds.std(ddof=1)
    assert found.high[0] - found.low[0] == pytest.approx(2 * half)
    assert (found.low[0] + found.high[0]) / 2 == pytest.approx(folds.mean())


def test_what_is_common_to_all_candidates_of_a_fold_does_not_blur_their_order():
    hard_and_easy = np.array([-0.3, -0.1, 0.0, 0.1, 0.3])[:, None]
    own = np.random.default_rng(0).normal(0, 0.001, (5, 3))
    scores = np.array([0.50, 0.49, 0.40])
    found = uncertainty(scores, scores + hard_and_easy + own, seed=0, best=1)
    assert found.rank.tolist() == [1, 2, 3]
    assert found.best.tolist() == pytest.approx([1, 0, 0], abs=0.01)
    assert (found.high - found.low > 0.3).all()


def test_candidates_that_cannot_be_told_apart_share_a_rank():
    own = np.random.default_rng(0).normal(0, 0.05, (5, 4))
    scores = np.array([0.3, 0.9, 0.91, 0.31])
    found = uncertainty(scores, scores + own, seed=0, best=1)
    assert found.rank.tolist() == [3, 1, 1, 3]
    assert 0.2 < found.best[1] < 0.8
    assert found.best.sum() == pytest.approx(1)


def test_chances_are_those_of_a_normal_difference():
    # With many folds Student's distribution is normal, and two candidates' order depends on their difference alone.
    rng = np.random.default_rng(1)
    n = 2_000
    folds = rng.normal([0.0, 0.03], 1, (n, 2))
    found = uncertainty(folds.mean(axis=0), folds, seed=0, best=1)
    difference = folds[:, 1] - folds[:, 0]
    expected = t.cdf(difference.mean() / (difference.std(ddof=1) * np.sqrt(1 / n + 1 / (n - 1))), n - 1)
    assert found.best[1] == pytest.approx(expected, abs=0.02)


def test_equal_candidates_have_equal_chances():
    found = uncertainty(np.array([1.0, 1, 1, 1, 1, 0.2]), np.tile([1.0, 1, 1, 1, 1, 0.2], (5, 1)), seed=0)
    assert found.best.tolist() == pytest.approx([0.6] * 5 + [0])


def test_few_candidates_are_all_among_the_best_and_the_seed_decides_the_draws():
    folds = np.random.default_rng(0).normal(size=(5, 4))
    assert uncertainty(folds.mean(axis=0)[:2], folds[:, :2], seed=0).best.tolist() == [1, 1]
    again = [uncertainty(folds.mean(axis=0), folds, seed=seed).best.tolist() for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]
