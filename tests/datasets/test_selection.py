"""A stratified subsample has the given size, every class, and the same share of each class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.selection import stratified
from emms.errors import DatasetError


def rng(seed=0):
    return np.random.default_rng(seed)


@st.composite
def labels_and_limit(draw):
    counts = draw(st.lists(st.integers(1, 60), min_size=1, max_size=8))
    labels = draw(st.permutations(np.repeat(np.arange(len(counts)), counts).tolist()))
    return np.array(labels), draw(st.integers(len(counts), len(labels) + 3))


@given(labels_and_limit())
def test_size_order_and_shares(case):
    labels, limit = case
    chosen = stratified(labels, limit, rng())
    assert len(chosen) == min(limit, len(labels))
    assert (np.diff(chosen) > 0).all()
    counts, taken = np.bincount(labels), np.bincount(labels[chosen], minlength=labels.max() + 1)
    assert (taken >= 1).all()
    assert (taken <= counts).all()
    share = counts * (len(chosen) / len(labels))
    # Nobody is a seat above the share it has, or has been given for its existence …
    assert (taken < np.maximum(share, 1) + 1 + 1e-9).all()
    # … and a class that is larger never gets fewer.
    order = np.argsort(counts, kind="stable")
    assert (np.diff(taken[order])[np.diff(counts[order]) > 0] >= 0).all()


def test_integer_shares_are_exact():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    assert np.bincount(labels[stratified(labels, 100, rng())]).tolist() == [90, 9, 1]


def test_largest_remainder_by_hand():
    labels = np.repeat([0, 1, 2], [53, 24, 23])  # shares of 10: 5.3, 2.4, 2.3
    assert np.bincount(labels[stratified(labels, 10, rng())]).tolist() == [5, 3, 2]


def test_rare_classes_keep_one_sample():
    labels = np.repeat([0, 1, 2], [10_000, 1, 1])
    assert np.bincount(labels[stratified(labels, 10, rng())]).tolist() == [8, 1, 1]
    assert np.bincount(labels[stratified(labels, 3, rng())]).tolist() == [1, 1, 1]


def test_the_subsample_depends_on_the_seed():
    labels = np.tile([0, 1], 500)
    assert np.array_equal(stratified(labels, 100, rng(1)), stratified(labels, 100, rng(1)))
    assert not np.array_equal(stratified(labels, 100, rng(1)), stratified(labels, 100, rng(2)))


def test_every_sample_has_the_same_probability():
    labels = np.repeat([0, 1], [8, 4])
    picked = np.bincount(
        np.concatenate([stratified(labels, 6, generator) for generator in map(rng, range(2000))]), minlength=12
    )
    np.testing.assert_allclose(picked / 2000, 0.5, atol=0.06)


@pytest.mark.parametrize("limit", [-1, 0, 2])
def test_fewer_than_classes(limit):
    with pytest.raises(DatasetError, match="below the number of classes, 3"):
        stratified(np.array([0, 1, 2, 2]), limit, rng())
