"""Intervals, probabilities and ties from the scores of folds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from emms.errors import EMMSError
from emms.results.uncertainty import uncertainty


def test_the_interval_is_the_corrected_t_interval_of_the_folds():
    folds = np.array([[0.1], [0.3], [0.2], [0.25], [0.4]])
    found = uncertainty(folds.mean(axis=0), folds, seed=0)
    half = t.ppf(0.975, 4) * np.sqrt(1 / 5 + 1 / 4) * folds.std(ddof=1)
    assert found.high[0] - found.low[0] == pytest.approx(2 * half)
    assert (found.low[0] + found.high[0]) / 2 == pytest.approx(folds.mean())


def test_effects_common_to_all_candidates_do_not_affect_ranks():
    hard_and_easy = np.array([-0.3, -0.1, 0.0, 0.1, 0.3])[:, None]
    own = np.random.default_rng(0).normal(0, 0.001, (5, 3))
    scores = np.array([0.50, 0.49, 0.40])
    found = uncertainty(scores, scores + hard_and_easy + own, seed=0, best=1)
    assert found.rank.tolist() == [1, 2, 3]
    assert found.best.tolist() == pytest.approx([1, 0, 0], abs=0.01)
    assert (found.high - found.low > 0.3).all()


def test_candidates_without_significant_differences_share_a_rank():
    own = np.random.default_rng(0).normal(0, 0.05, (5, 4))
    scores = np.array([0.3, 0.9, 0.91, 0.31])
    found = uncertainty(scores, scores + own, seed=0, best=1)
    assert found.rank.tolist() == [3, 1, 1, 3]
    assert 0.2 < found.best[1] < 0.8
    assert found.best.sum() == pytest.approx(1)


def test_probabilities_are_those_of_a_normal_difference():
    # With many folds Student's distribution is normal, and the order of two candidates depends on their difference.
    rng = np.random.default_rng(1)
    n = 2_000
    folds = rng.normal([0.0, 0.03], 1, (n, 2))
    found = uncertainty(folds.mean(axis=0), folds, seed=0, best=1)
    difference = folds[:, 1] - folds[:, 0]
    expected = t.cdf(difference.mean() / (difference.std(ddof=1) * np.sqrt(1 / n + 1 / (n - 1))), n - 1)
    assert found.best[1] == pytest.approx(expected, abs=0.02)


def test_equal_candidates_have_equal_probabilities():
    found = uncertainty(np.array([1.0, 1, 1, 1, 1, 0.2]), np.tile([1.0, 1, 1, 1, 1, 0.2], (5, 1)), seed=0)
    assert found.best.tolist() == pytest.approx([0.6] * 5 + [0])


def test_few_candidates_are_all_among_the_best_and_the_seed_decides_the_draws():
    folds = np.random.default_rng(0).normal(size=(5, 4))
    assert uncertainty(folds.mean(axis=0)[:2], folds[:, :2], seed=0).best.tolist() == [1, 1]
    again = [uncertainty(folds.mean(axis=0), folds, seed=seed).best.tolist() for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


# Scores that are proportions


def accuracies(rng, chance, samples, folds=5):
    """Return fold accuracies (F, M) and accuracies (M,) over all samples; chance: (M,), of a sample to be right."""
    sizes = np.array([len(part) for part in np.array_split(np.arange(samples), folds)])
    right = rng.binomial(sizes[:, None], chance)
    return right / sizes[:, None], right.sum(axis=0) / samples


def interval(scores, folds, samples):
    # All candidates count as best, so that no draws are needed.
    return uncertainty(scores, folds, seed=0, best=len(scores), samples=samples)


@pytest.mark.parametrize("samples", [100, 500, 2000])
@pytest.mark.parametrize("p", [0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("folds", [2, 5, 10])
def test_intervals_of_proportions_cover_the_truth(p, samples, folds):
    rng, n = np.random.default_rng(0), 400
    # Folds that share training samples are correlated; this is the correlation that the correction assumes.
    strength = (samples * (folds - 1) / folds) - 1
    shared = rng.beta(p * strength, (1 - p) * strength, n) if p < 1 else np.ones(n)
    for chance in (shared, np.full(n, p)):
        found = interval(*accuracies(rng, chance, samples, folds)[::-1], samples)
        assert ((found.low <= p) & (p <= found.high)).mean() > 0.92
        assert (found.low >= 0).all()
        assert (found.high <= 1).all()
        assert (found.high > found.low).all()


@pytest.mark.parametrize("samples", [100, 2000])
@pytest.mark.parametrize("p", [0.3, 0.5, 0.7])
def test_intervals_of_moderate_proportions_are_close_to_the_t_interval(p, samples):
    folds, scores = accuracies(np.random.default_rng(0), np.full(400, p), samples)
    widths = [np.mean(found.high - found.low) for found in (interval(scores, folds, n) for n in (samples, None))]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


def test_the_interval_of_equal_folds_is_wilsons():
    found = interval(np.array([0.75]), np.full((5, 1), 0.75), 80)
    wilson = binomtest(60, 80).proportion_ci(0.95, "wilson")
    assert [found.low[0], found.high[0]] == pytest.approx(list(wilson))


def test_the_interval_of_perfect_folds_shrinks_with_the_samples():
    samples = [50, 100, 1000, 10_000]
    perfect = [interval(np.ones(1), np.ones((5, 1)), n) for n in samples]
    assert [found.high[0] for found in perfect] == [1] * 4
    # Wilson's interval for N / 2.25 samples, the effective number for five folds that share training samples.
    wilson = [n / (n + 2.25 * norm.ppf(0.975) ** 2) for n in samples]
    assert [found.low[0] for found in perfect] == pytest.approx(wilson)
    none_right = interval(np.zeros(1), np.zeros((5, 1)), 100)
    assert [none_right.low[0], none_right.high[0]] == pytest.approx([0, 1 - perfect[1].low[0]])


def test_the_first_error_does_not_narrow_the_interval():
    wrong = np.array([0.0, 1e-6, 0.5, 1.0, 2.0])  # means over samples of values in [0, 1] may have parts of errors
    errors = np.outer([1, 0, 0, 0, 0], wrong)
    found = interval(1 - wrong / 500, 1 - errors / 100, 500)
    assert (np.diff(found.low) < 0).all()
    assert (np.diff(found.high) <= 0).all()
    assert found.low[1] == pytest.approx(found.low[0], abs=1e-6)


def test_ties_are_broken_only_by_a_significant_number_of_samples():
    # Both have the same score in all folds, so that by the folds alone any difference would be significant.
    for wrong, ranks in [(1, [1, 1]), (3, [1, 1]), (4, [1, 2]), (40, [1, 2])]:
        scores = np.array([1, 1 - wrong / 1000])
        assert uncertainty(scores, np.tile(scores, (5, 1)), seed=0).rank.tolist() == [1, 2]
        assert uncertainty(scores, np.tile(scores, (5, 1)), seed=0, samples=1000).rank.tolist() == ranks


def test_probabilities_of_perfect_folds_depend_on_the_samples():
    wrong = np.array([0, 1, 2, 5, 9])
    scores = 1 - wrong / 1000
    found = uncertainty(scores, np.tile(scores, (5, 1)), seed=0, best=1, samples=1000)
    assert found.best.sum() == pytest.approx(1)
    assert (np.diff(found.best) < 0).all()
    for one in (1, 2, 3, 4):
        pair = uncertainty(scores[[0, one]], np.tile(scores[[0, one]], (5, 1)), seed=0, best=1, samples=1000)
        d = wrong[one] / 1000
        assert pair.best[0] == pytest.approx(norm.cdf(d / np.sqrt((d - d**2) / 1000)), abs=0.02)


def test_probabilities_are_not_overconfident():
    rng, sure, right = np.random.default_rng(0), 0, 0
    for _ in range(300):
        p = rng.beta(99, 1, 2)
        folds, scores = accuracies(rng, p, 500)
        chances = uncertainty(scores, folds, seed=0, best=1, samples=500).best
        if chances.max() > 0.9:
            sure, right = sure + 1, right + (p.argmax() == chances.argmax())
    assert sure > 50
    assert right / sure > 0.93


def test_equal_scores_rarely_differ_significantly():
    rng = np.random.default_rng(0)
    for p in (0.7, 0.99):
        pairs = (accuracies(rng, np.full(2, p), 500) for _ in range(400))
        ranks = [uncertainty(scores, folds, seed=0, samples=500).rank.max() for folds, scores in pairs]
        assert np.mean(np.array(ranks) > 1) < 0.05


@pytest.mark.parametrize("value", [1.01, -0.2, np.nan])
def test_a_score_outside_0_and_1_raises(value):
    with pytest.raises(EMMSError, match=f"is {value:g}, but proportions are between 0 and 1"):
        uncertainty(np.array([0.5, value]), np.full((5, 2), 0.5), seed=0, samples=100)


# Laws


@st.composite
def candidates(draw):
    """Draw fold scores (5, M) and scores (M,) of up to six candidates, some identical, as accuracies on 100 samples."""
    right = draw(st.lists(st.lists(st.integers(15, 20), min_size=5, max_size=5), min_size=1, max_size=6))
    right += draw(st.lists(st.sampled_from(right), max_size=2))
    folds = np.array(right).T / 20
    return folds, folds.mean(axis=0)


def fields(found):
    return found.low, found.high, found.best, found.rank


@settings(max_examples=40)
@given(candidates(), st.sampled_from([None, 100]), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter_to_the_last_bit(candidates_, samples, best, random):
    folds, scores = candidates_
    order = list(range(len(scores)))
    random.shuffle(order)
    here = uncertainty(scores, folds, 0, best, samples)
    there = uncertainty(scores[order], folds[:, order], 0, best, samples)
    for a, b in zip(fields(here), fields(there), strict=True):
        assert (a[order] == b).all()


@settings(max_examples=40)
@given(candidates(), st.sampled_from([None, 100]), st.integers(1, 4), st.integers(0, 1000))
def test_rounding_changes_no_rank_and_no_probability(candidates_, samples, best, seed):
    folds, scores = candidates_
    rng = np.random.default_rng(seed)
    rounded = [values * (1 + 1e-12 * rng.uniform(-1, 1, values.shape)) for values in (scores, folds)]
    here, there = uncertainty(scores, folds, 0, best, samples), uncertainty(*rounded, 0, best, samples)
    assert here.rank.tolist() == there.rank.tolist()
    for a, b in zip(fields(here), fields(there), strict=True):
        assert b == pytest.approx(a, abs=1e-9)


@settings(max_examples=40)
@given(candidates(), st.sampled_from([None, 100]), st.integers(1, 4))
def test_properties_for_any_candidates(candidates_, samples, best):
    folds, scores = candidates_
    found = uncertainty(scores, folds, 0, best, samples)
    assert (found.low <= scores + 1e-12).all()
    assert (found.high >= scores - 1e-12).all()
    assert found.best.sum() == pytest.approx(min(best, len(scores)))
    assert found.rank.min() == 1
    for i, j in itertools.permutations(range(len(scores)), 2):
        if scores[i] > scores[j] + 1e-9:
            assert found.rank[i] <= found.rank[j]
        if (folds[:, i] == folds[:, j]).all():
            assert found.best[i] == found.best[j]
            assert found.rank[i] == found.rank[j]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("samples", [None, 100])
def test_few_candidates(count, samples):
    folds, scores = accuracies(np.random.default_rng(0), np.array([0.9, 0.8, 0.3])[:count], 100)
    found = uncertainty(scores, folds, seed=0, samples=samples)
    assert found.best.tolist() == [1] * count
    assert found.rank.tolist() == [1, 1, 3][:count]
    one = uncertainty(scores, folds, seed=0, best=1, samples=samples)
    assert one.best.sum() == pytest.approx(1)
