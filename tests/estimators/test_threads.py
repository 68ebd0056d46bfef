"""Threads of BLAS libraries are limited in a block and restored afterwards."""

import threading

import numpy as np
import pytest
import scipy.linalg  # so that scipy's BLAS is loaded
from threadpoolctl import threadpool_info, threadpool_limits

from emms.estimators import make_estimator
from emms.estimators.threads import WORTH_THREADS, one_pool

pytestmark = pytest.mark.skipif(
    not all(any(f"{of}.libs" in pool["filepath"] for pool in threadpool_info()) for of in ("numpy", "scipy")),
    reason="numpy and scipy have no BLAS of their own here",
)


@pytest.fixture(autouse=True)
def two_threads():
    assert scipy.linalg.norm(np.ones(4)) == 2
    with threadpool_limits(limits=2, user_api="blas"):
        yield


def threads():
    """Return the number of threads of numpy's BLAS and of scipy's."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return tuple(next(p["num_threads"] for p in pools if f"{of}.libs" in p["filepath"]) for of in ("numpy", "scipy"))


def test_only_one_library_keeps_its_threads():
    with one_pool():
        assert threads() == (2, 1)
    assert threads() == (2, 2)


def test_small_products_get_one_thread_and_large_ones_several():
    with one_pool(WORTH_THREADS - 1):
        assert threads() == (1, 1)
    with one_pool(WORTH_THREADS):
        assert threads() == (2, 1)
    assert threads() == (2, 2)


def test_limits_can_be_nested_and_are_removed_after_errors():
    with one_pool():
        with one_pool(0):
            assert threads() == (1, 1)
        assert threads() == (2, 1)
        with pytest.raises(ZeroDivisionError), one_pool(0):
            raise ZeroDivisionError
        assert threads() == (2, 1)
    assert threads() == (2, 2)


def test_only_one_python_thread_at_a_time_changes_limits():
    entered, may_leave, second = threading.Event(), threading.Event(), threading.Event()

    def first_in():
        with one_pool(0):
            entered.set()
            may_leave.wait(10)

    def second_in():
        with one_pool():
            second.set()

    workers = [threading.Thread(target=first_in), threading.Thread(target=second_in)]
    workers[0].start()
    assert entered.wait(10)
    workers[1].start()
    assert not second.wait(0.2)
    may_leave.set()
    assert second.wait(10)
    for worker in workers:
        worker.join(10)
    assert threads() == (2, 2)


@pytest.mark.parametrize("name", ["linear-probe", "pactran-gauss"])
def test_an_estimator_restores_the_thread_limits(name):
    X, y = np.random.default_rng(0).standard_normal((60, 8)), np.arange(60) % 3
    assert np.isfinite(make_estimator(name).fit(X, y).score_)
    assert threads() == (2, 2)
