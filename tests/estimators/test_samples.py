"""Shared functions of estimators that read samples: blocks, distances, and the canonical order."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from emms.errors import EstimatorError
from emms.estimators.samples import bounded, canonical_order, centred, class_sums, row_blocks, squared_distances


@pytest.mark.parametrize(("n_rows", "width"), [(1, 1), (50_000, 50_000), (10, 10**9)])
def test_blocks_cover_all_rows_and_stay_small(n_rows, width):
    blocks = list(row_blocks(n_rows, width))
    assert [b.start for b in blocks] == [0, *(b.stop for b in blocks[:-1])]
    assert blocks[-1].stop == n_rows
    assert all(b.stop - b.start == 1 or (b.stop - b.start) * width <= 2**22 for b in blocks)


def test_sums_of_classes():
    np.testing.assert_array_equal(
        class_sums(np.arange(6.0).reshape(3, 2), np.array([2, 0, 2]), 3), [[2, 3], [0, 0], [4, 6]]
    )


def test_distances_of_some_rows():
    X = np.random.default_rng(0).standard_normal((20, 5))
    found = squared_distances(X, (X**2).sum(axis=1), slice(3, 7), slice(5, 20))
    np.testing.assert_allclose(found, cdist(X[3:7], X[5:], "sqeuclidean"), atol=1e-13)


def test_the_canonical_order_depends_only_on_the_samples():
    X = np.random.default_rng(0).standard_normal((200, 5))
    shuffled = np.random.default_rng(1).permutation(X)
    np.testing.assert_array_equal(X[canonical_order(X)], shuffled[canonical_order(shuffled)])


def test_constant_columns_become_zero():
    X = np.full((7, 3), [0.1, 1e9 / 3, -7e-9])
    np.testing.assert_array_equal(centred(X), np.zeros((7, 3)))
    np.testing.assert_array_equal(bounded(np.zeros((2, 2))), np.zeros((2, 2)))


def test_too_large_features_raise():
    with pytest.raises(EstimatorError, match="too large to square"):
        centred(np.array([[1e150], [0.0]]))
