"""Rows in a temporary file are read like those of an array."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import StoreError
from emms.moments.rows import RowFile


def random_rows(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


ROWS = random_rows(37, 3, 2)


@pytest.fixture(scope="module")
def stored():
    return RowFile(3, 2).append(ROWS[:20]).append(ROWS[20:20]).append(ROWS[20:])


@given(rows=st.lists(st.integers(-37, 36), max_size=80))
def test_any_rows_in_any_order(stored, rows):
    numbers = np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(stored[numbers], ROWS[numbers])


@given(st.slices(37))
def test_slices(stored, rows):
    np.testing.assert_array_equal(stored[rows], ROWS[rows])


def test_it_looks_like_an_array(stored):
    assert (stored.shape, len(stored), stored.ndim, stored.dtype) == (ROWS.shape, 37, 3, ROWS.dtype)
    np.testing.assert_array_equal(np.asarray(stored), ROWS)
    np.testing.assert_array_equal(np.concatenate([stored[rows] for rows in stored.blocks()]), ROWS)


@pytest.mark.parametrize("rows", [np.array([37]), np.array([-38]), np.array([True]), np.array([[1]]), np.array([0.5])])
def test_other_rows_raise(stored, rows):
    with pytest.raises(IndexError):
        stored[rows]
    with pytest.raises(ValueError, match="do not fit"):
        stored.append(random_rows(2, 3, 3))


def test_several_threads_read_at_once(stored):
    with ThreadPoolExecutor(8) as pool:
        wanted = [np.random.default_rng(seed).integers(37, size=200) for seed in range(40)]
        for numbers, found in zip(wanted, pool.map(stored.__getitem__, wanted), strict=True):
            np.testing.assert_array_equal(found, ROWS[numbers])


def test_a_full_disk_is_reported():
    full = RowFile(3)
    full._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(StoreError, match=r"temporary folder .*No space left.*set TMPDIR"):
        full.append(random_rows(2, 3))
    full._file.close()


def test_it_cannot_be_pickled(stored):
    with pytest.raises(TypeError, match="temporary file"):
        pickle.dumps(stored)
