"""Time of estimators that alternate between numpy's and scipy's BLAS, with and without limits on their threads.

    python -m benchmarks.threads [--quick]

On an idle machine the gain is about a factor of two. Where other programs keep the cores busy it can be ten and more,
since threads then wait for others that the system has suspended. Measured last with --quick: 1.2 and 1.6 times faster.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from contextlib import nullcontext
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table

from emms.estimators import ESTIMATORS
from emms.estimators.threads import one_pool

CASES = [(2_000, 1_280, 10), (10_000, 1_024, 100)]
"""N, D1, C."""
LIMITED = ["linear-probe", "pactran-gauss"]


def problem(N: int, D1: int, C: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features that overlap between the classes, and class indices."""
    rng, y = np.random.default_rng(0), np.arange(N) % C
    X = 0.06 * rng.standard_normal((C, D1))[y] + rng.standard_normal((N, D1))
    return X.astype(np.float32), y


def seconds(name: str, limited: bool, X: np.ndarray, y: np.ndarray) -> float:
    estimator = ESTIMATORS.get(name)
    module = importlib.import_module(estimator.__module__)
    with mock.patch.object(module, "one_pool", one_pool if limited else lambda *_: nullcontext()):
        start = time.perf_counter()
        estimator().fit(X, y)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small problem, to see that it runs")
    warnings.simplefilter("ignore")
    table = Table("estimator", "N, D1, C", "all threads", "limited", "times faster")
    for N, D1, C in [(300, 64, 3)] if parser.parse_args().quick else CASES:
        X, y = problem(N, D1, C)
        for name in LIMITED:
            # In turn, so that both meet the machine in the same state.
            free, limited = np.min([(seconds(name, False, X, y), seconds(name, True, X, y)) for _ in range(3)], axis=0)
            table.add_row(name, f"{N:,}, {D1:,}, {C}", f"{free:.2f} s", f"{limited:.2f} s", f"{free / limited:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
