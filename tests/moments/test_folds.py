"""Folds: of equal size, stratified by label, and with the samples of one group together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import EstimatorError
from emms.moments import TargetMoments
from emms.moments.folds import add_up, assign_folds
from emms.moments.rows import RowFile

SEEDS = st.integers(0, 2**32 - 1)


@given(labels=st.lists(st.integers(0, 5), min_size=2, max_size=80), folds=st.integers(2, 6), seed=SEEDS)
def test_folds_have_equal_sizes_and_labels_are_spread(labels, folds, seed):
    fold_of = assign_folds(np.array(labels), folds, seed)
    table = np.zeros((6, folds))
    np.add.at(table, (labels, fold_of), 1)
    assert np.ptp(np.bincount(fold_of, minlength=folds)) <= 1
    assert np.ptp(table, axis=1).max() <= 1


@given(labels=st.lists(st.integers(0, 5), min_size=2, max_size=80), seed=SEEDS)
def test_groups_of_one_sample_change_nothing(labels, seed):
    groups = np.random.default_rng(seed).permutation(len(labels))
    np.testing.assert_array_equal(
        assign_folds(np.array(labels), 3, seed, groups), assign_folds(np.array(labels), 3, seed)
    )


@given(groups=st.lists(st.integers(0, 30), min_size=5, max_size=120), seed=SEEDS)
def test_a_group_is_in_one_fold_and_sizes_differ_by_at_most_the_largest_group(groups, seed):
    groups = np.array(groups)
    if len(np.unique(groups)) < 3:
        with pytest.raises(EstimatorError, match=r"groups that belong together.*split into 3 folds"):
            assign_folds(np.arange(len(groups)), 3, seed, groups)
        return
    fold_of = assign_folds(np.arange(len(groups)), 3, seed, groups)
    for group in np.unique(groups):
        assert len(np.unique(fold_of[groups == group])) == 1
    sizes = np.bincount(fold_of, minlength=3)
    assert sizes.min() > 0
    assert np.ptp(sizes) <= np.bincount(groups).max()


def test_groups_of_classes_are_spread_by_class():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 4)
    y = np.repeat(rng.choice(4, size=200, p=[0.7, 0.2, 0.05, 0.05]), 4)
    fold_of = assign_folds(y, 5, 0, groups)
    for label in range(4):
        counts = np.bincount(fold_of[y == label], minlength=5)
        assert np.ptp(counts) <= 4, counts
    assert np.ptp(np.bincount(fold_of)) <= 4 * 2


def test_folds_are_random_and_the_names_of_groups_do_not_matter():
    groups = np.repeat(np.arange(50), 3)
    one, other = (assign_folds(np.arange(150), 5, seed, groups) for seed in (0, 1))
    assert (one != other).any()
    named = np.array([f"{99 - group}.jpg" for group in groups])
    np.testing.assert_array_equal(assign_folds(np.arange(150), 5, 0, named), one)


def test_targets_may_be_in_a_file():
    rng = np.random.default_rng(0)
    X, y, Z = rng.standard_normal((90, 4)), rng.integers(30, size=90), rng.standard_normal((30, 3, 2)).astype("f4")
    parts = [TargetMoments(4, 3, 2) for _ in range(2)]
    add_up(parts, [X[:50], X[50:]], np.arange(90) % 2, y, RowFile(3, 2).append(Z))
    expected = TargetMoments(4, 3, 2).update(X[1::2], Z[y[1::2]])
    np.testing.assert_allclose(parts[1].crosses(), expected.crosses(), rtol=1e-10)
