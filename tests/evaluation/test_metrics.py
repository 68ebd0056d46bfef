"""Metrics compared with scipy and formulas, their properties, and edge cases."""

import itertools
import math
from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from emms.errors import EMMSError
from emms.evaluation import (
    METRICS,
    kendall_tau,
    pearson,
    recall_at_k,
    rel_at_k,
    spearman,
    weighted_kendall_tau,
    weighted_pearson,
)

ENOUGH = 6
"""Models with which every metric is defined."""
CORRELATIONS = [weighted_kendall_tau, kendall_tau, spearman, pearson, weighted_pearson]
RANK_METRICS = [name for name in METRICS if "pearson" not in name]

law = settings(deadline=None, max_examples=60)  # no time limit, for busy machines

# Few distinct numbers, so that ties are common.
tied = st.integers(-4, 4).map(lambda i: i / 4)


@st.composite
def rankings(draw, least=3, most=12):
    """Scores and truth of a few models, neither constant."""
    n = draw(st.integers(least, most))
    scores, truth = (np.array(draw(st.lists(tied, min_size=n, max_size=n))) for _ in range(2))
    assume(np.ptp(scores) > 0 and np.ptp(truth) > 0)
    return scores, truth


def agrees(a, b):
    return a == pytest.approx(b, abs=1e-12, nan_ok=True)


# Metrics, against other computations


@law
@given(rankings())
def test_correlations_agree_with_scipy(ranking):
    scores, truth = ranking
    assert agrees(weighted_kendall_tau(scores, truth), stats.weightedtau(scores, truth).statistic)
    assert agrees(kendall_tau(scores, truth), stats.kendalltau(scores, truth).statistic)
    assert agrees(spearman(scores, truth), stats.spearmanr(scores, truth).statistic)
    assert agrees(pearson(scores, truth), stats.pearsonr(scores, truth).statistic)


def weighted_tau_by_pairs(x, y):
    """Compute the definition as a sum over pairs of models, with ranks by x and then by y."""
    taus = []
    for key in (lambda i: (x[i], y[i]), lambda i: (y[i], x[i])):
        place = {i: p for p, i in enumerate(sorted(range(len(x)), key=key, reverse=True), start=1)}
        agreement = total_x = total_y = 0.0
        for i, j in itertools.combinations(range(len(x)), 2):
            weight = 1 / place[i] + 1 / place[j]
            agreement += weight * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
            total_x += weight * (x[i] != x[j])
            total_y += weight * (y[i] != y[j])
        taus.append(agreement / math.sqrt(total_x * total_y))
    return sum(taus) / 2


@law
@given(rankings())
def test_weighted_kendall_tau_is_the_sum_over_pairs(ranking):
    assert agrees(weighted_kendall_tau(*ranking), weighted_tau_by_pairs(*ranking))


@law
@given(rankings())
def test_weighted_pearson_weighs_by_rank_in_the_truth(ranking):
    scores, truth = ranking
    order = sorted(truth, reverse=True)
    places = [[place for place, value in enumerate(order, start=1) if value == t] for t in truth]
    weights = [sum(1 / place for place in mine) / len(mine) for mine in places]
    covariance = np.cov(scores, truth, aweights=weights)
    expected = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    assert agrees(weighted_pearson(scores, truth), expected)


@law
@given(rankings(most=5), st.integers(1, 4))
def test_rel_and_recall_are_those_of_the_worst_way_to_break_ties(ranking, k):
    scores, truth = ranking[0], ranking[1] + 2
    assume(k < len(scores))
    ways = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    assert rel_at_k(scores, truth, k) == min(max(truth[list(order[:k])]) / max(truth) for order in ways)
    best = sorted(truth, reverse=True)[:k]
    assert recall_at_k(scores, truth, k) == min(float(truth[order[0]] >= best[-1]) for order in ways)


def test_rel_and_recall_by_hand():
    scores = [0.9, 0.8, 0.7, 0.1]
    truth = [80.0, 60.0, 100.0, 90.0]
    assert [rel_at_k(scores, truth, k) for k in (1, 2, 3)] == [0.8, 0.8, 1]
    assert [recall_at_k(scores, truth, k) for k in (1, 2, 3)] == [0, 0, 1]


# Laws


@law
@given(rankings(), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(ranking, random):
    scores, truth = ranking
    order = list(range(len(scores)))
    random.shuffle(order)
    for metric in METRICS.values():
        assert agrees(metric(scores[order], truth[order]), metric(scores, truth))


@law
@given(rankings(least=ENOUGH))
def test_every_metric_is_in_its_range(ranking):
    scores, truth = ranking[0], ranking[1] + 2
    for name, metric in METRICS.items():
        low = 0 if "@" in name else -1
        assert low - 1e-12 <= metric(scores, truth) <= 1 + 1e-12


@law
@given(rankings(least=ENOUGH))
def test_the_truth_itself_is_a_perfect_ranking(ranking):
    truth = ranking[1] + 2
    for metric in METRICS.values():
        assert agrees(metric(truth, truth), 1)


@law
@given(rankings())
def test_negating_the_scores_flips_the_correlation(ranking):
    scores, truth = ranking
    for metric in (kendall_tau, spearman, pearson, weighted_pearson):
        assert agrees(metric(-scores, truth), -metric(scores, truth))
    # The weighted tau also weighs by rank in the scores, so it is only certain to flip for a reversed truth.
    assert agrees(weighted_kendall_tau(-truth, truth), -1)


@law
@given(rankings())
def test_a_monotone_transform_of_the_scores_changes_no_rank_metric(ranking):
    scores, truth = ranking
    for name in RANK_METRICS:
        assert agrees(METRICS[name](np.exp(3 * scores), truth), METRICS[name](scores, truth))


@law
@given(rankings(), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_linear_transform_changes_no_correlation(ranking, scale, shift):
    scores, truth = ranking
    for metric in CORRELATIONS:
        expected = pytest.approx(metric(scores, truth), abs=1e-6)
        assert metric(scale * scores + shift, truth) == expected
        assert metric(scores, scale * truth + shift) == expected


@pytest.mark.parametrize("scores", [[1e200, 2e200, 4e200], [1e9 + 1, 1e9 + 2, 1e9 + 4], [1e-200, 2e-200, 4e-200]])
def test_pearson_with_large_and_small_numbers(scores):
    assert pearson(scores, [1, 2, 4]) == pytest.approx(1)
    assert weighted_pearson(scores, [1, 2, 4]) == pytest.approx(1)


# Missing and undefined values


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_model_without_score_or_truth_is_left_out(metric):
    expected = metric([3, 1, 2, 4, 6, 5], [30, 20, 10, 40, 50, 60])
    assert not math.isnan(expected)
    assert metric([3, nan, 1, 2, 9, 4, 6, 5], [30, 99, 20, 10, nan, 40, 50, 60]) == expected


@pytest.mark.parametrize("metric", CORRELATIONS)
@pytest.mark.parametrize(
    ("scores", "truth"),
    [([], []), ([1], [1]), ([1, 2], [1, 2]), ([5, 5, 5], [1, 2, 3]), ([1, 2, 3], [5, 5, 5]), ([1, 2, nan], [1, 2, 3])],
)
def test_undefined_correlations_are_nan(metric, scores, truth):
    assert math.isnan(metric(scores, truth))


@pytest.mark.parametrize("metric", [rel_at_k, recall_at_k])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_rel_and_recall_are_undefined_where_they_would_always_be_1(metric, k):
    for n in range(k + 1):
        assert math.isnan(metric(range(n), range(1, n + 1), k))
    assert metric(range(k + 1), range(1, k + 2), k) == 1


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_all_metrics_of_a_single_model_are_nan(metric):
    assert math.isnan(metric([1], [7]))


def test_rel_and_recall_of_two_models():
    for metric in (rel_at_k, recall_at_k):
        assert metric([1, 2], [7, 14], k=1) == 1
    assert rel_at_k([2, 1], [7, 14], k=1) == 0.5
    assert recall_at_k([2, 1], [7, 14], k=1) == 0


def test_ties_count_against_the_estimator():
    assert rel_at_k([1, 1, 1], [50, 100, 75], k=2) == 0.75
    assert recall_at_k([1, 1, 1], [50, 100, 75], k=2) == 0


def test_models_as_good_as_the_kth_are_among_the_k_best():
    assert recall_at_k([3, 2, 1], [90, 90, 80], k=1) == 1


@pytest.mark.parametrize("truth", [[-3.0, -2.0, -1.0], [0.0, 0.0, 0.0]])
def test_rel_is_nan_where_the_best_truth_is_not_positive(truth):
    assert math.isnan(rel_at_k([1, 2, 3], truth, k=1))
    assert recall_at_k([1, 2, 3], truth, k=1) == 1


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([1, 2, 3], [1, 2], "one number per model"),
        ([[1, 2, 3]], [[1, 2, 3]], "one number per model"),
        (["a", "b", "c"], [1, 2, 3], "arrays of numbers"),
        ([1, 2, 3], [1, 2, inf], r"the truth of model 2 \(from 0\) is infinite"),
        ([1, -inf, 3], [1, 2, 3], r"the score of model 1 \(from 0\) is infinite"),
    ],
)
def test_invalid_arrays_raise(scores, truth, message):
    for metric in METRICS.values():
        with pytest.raises(EMMSError, match=message):
            metric(scores, truth)


@pytest.mark.parametrize("metric", [rel_at_k, recall_at_k])
def test_k_must_be_positive(metric):
    with pytest.raises(EMMSError, match="k is 0"):
        metric([1, 2, 3], [1, 2, 3], k=0)
