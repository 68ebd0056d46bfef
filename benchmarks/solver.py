"""How fast EMMS and LogME are from moments, against the textbook way and against one `dsyrk`, in one run.

    python -m benchmarks.solver [--quick] [--parquet ROWS]

Features are float32 and in memory. The baseline builds the N x D2 x K label tensor in float64, standardises, and
solves for w and t by `numpy.linalg.lstsq`. `dsyrk` alone is the least that any method of normal equations costs.
`--parquet` scores as many rows of 512 features from a Parquet file in the system's temporary folder as well.

Measured last with `--quick --parquet 20000`, so on small problems only: EMMS 106 times faster than the textbook way
with classes and 149 times with labels per sample; LogME 11 times faster than looped; from Parquet, 77 % of the speed of
reading and dsyrk alone.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from scipy.linalg.blas import dsyrk

from emms.estimators import ESTIMATORS, MomentEstimator
from emms.estimators.emms import EMMS, EMMSCV
from emms.estimators.logme import LogMEFLabel
from emms.moments import ClassMoments

CASES = [(10_000, 1_024, 1_024, 3, 100), (20_000, 2_048, 1_024, 3, 100), (10_000, 1_024, 1_024, 3, 0)]
"""N, D1, D2, K, classes; 0 classes: each sample has label embeddings of its own."""
PARQUET_FEATURES, PARQUET_BATCH, CLASSES = 512, 8_192, 100
SOURCE_CLASSES = 1_000


def problem(N: int, D1: int, D2: int, K: int, C: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Features that depend on the labels, label embeddings, and class indices if there are classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D1), dtype=np.float32)
    Z = rng.standard_normal((C or N, D2, K), dtype=np.float32)
    y = rng.integers(C, size=N) if C else None
    X[:, : min(D1, D2)] += 0.3 * (Z[y] if C else Z)[:, : min(D1, D2), 0]
    return X, Z, y


def textbook_emms(X: np.ndarray, Z: np.ndarray, y: np.ndarray | None) -> float:
    """Algorithm 2 of the paper, one pass: the sum of squares it ends with."""
    X = X.astype(np.float64)
    Z = (Z if y is None else Z[y]).astype(np.float64)
    X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-8)
    Z = (Z - Z.mean(axis=0)) / (Z.std(axis=0) + 1e-8)
    K = Z.shape[2]
    w = np.linalg.lstsq(X, Z @ np.full(K, 1 / K), rcond=None)[0]
    explained = X @ w
    t = np.linalg.lstsq(Z.reshape(-1, K), explained.ravel(), rcond=None)[0]
    for size in range(K, 0, -1):  # sparsemax: the largest support on which all stay positive
        threshold = (np.sort(t)[::-1][:size].sum() - 1) / size
        if np.sort(t)[::-1][size - 1] > threshold:
            break
    return float(((explained - Z @ np.maximum(t - threshold, 0)) ** 2).sum())


def looped_logme(X: np.ndarray, Z: np.ndarray, y: np.ndarray) -> float:
    """LogME of label embeddings a column at a time, as it is commonly written."""
    X, Z = X.astype(np.float64), Z.astype(np.float64)
    N, D = X.shape
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    sigma, evidences = s**2, []
    for k in range(Z.shape[2]):
        for d in range(Z.shape[1]):
            target = Z[y, d, k]
            z2 = (U.T @ target) ** 2
            outside, alpha, beta = target @ target - z2.sum(), 1.0, 1.0
            for _ in range(11):
                t = alpha / beta
                gamma = (sigma / (sigma + t)).sum()
                m2 = (sigma * z2 / (t + sigma) ** 2).sum()
                res2 = (z2 / (1 + sigma / t) ** 2).sum() + outside
                alpha, beta = gamma / (m2 + 1e-5), (N - gamma) / (res2 + 1e-5)
                if abs(alpha / beta - t) / t <= 1e-3:
                    break
            logdet = np.log(alpha + beta * sigma).sum()
            fit = beta * res2 + alpha * m2 + N * np.log(2 * np.pi)
            evidences.append((D * np.log(alpha) + N * np.log(beta) - logdet - fit) / (2 * N))
    return float(np.mean(evidences))


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """The shortest of several runs: what else the machine does only ever adds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def against_textbook(console: Console, cases: Sequence[tuple[int, ...]]) -> None:
    table = Table("N, D1, D2, K, classes", "EMMS", "textbook", "times faster", "dsyrk", "of a dsyrk", title="EMMS")
    for N, D1, D2, K, C in cases:
        X, Z, y = problem(N, D1, D2, K, C)
        ours = EMMS("released").fit(X, Z, y)
        start = time.perf_counter()
        expected = textbook_emms(X, Z, y)
        textbook = time.perf_counter() - start
        np.testing.assert_allclose(ours.objective_, expected, rtol=1e-7)
        X64 = X.astype(np.float64)
        # Turn and turn about, so that both meet the machine in the same state.
        pairs = [(seconds(lambda: EMMS().fit(X, Z, y)), seconds(lambda: dsyrk(1.0, X64.T))) for _ in range(5)]  # noqa: B023
        mine, one_dsyrk = np.min(pairs, axis=0)
        table.add_row(
            f"{N:,}, {D1:,}, {D2:,}, {K}, {C or 'per sample'}",
            f"{mine:.2f} s",
            f"{textbook:.2f} s",
            f"{textbook / mine:.1f}",
            f"{one_dsyrk:.2f} s",
            f"{mine / one_dsyrk:.2f}",
        )
    console.print(table)


def logme_and_the_rest(console: Console, N: int, D1: int, D2: int, K: int, C: int) -> None:
    X, Z, y = problem(N, D1, D2, K, C)
    assert y is not None
    ours = LogMEFLabel().fit(X, Z, y)
    start = time.perf_counter()
    expected = looped_logme(X, Z, y)
    loop = time.perf_counter() - start
    np.testing.assert_allclose(ours.score_, expected, rtol=1e-6)
    mine = seconds(lambda: LogMEFLabel().fit(X, Z, y), repeats=3)
    console.print(f"LogME on label embeddings: {mine:.2f} s, looped {loop:.2f} s: {loop / mine:.1f} times faster")

    pairs = [(seconds(lambda: EMMSCV().fit(X, Z, y)), seconds(lambda: EMMS().fit(X, Z, y))) for _ in range(3)]
    validated, exact = np.min(pairs, axis=0)
    console.print(f"emms-cv: {validated:.2f} s, {validated / exact:.1f} times the {exact:.2f} s of exact")

    logits = np.random.default_rng(1).standard_normal((N, SOURCE_CLASSES), dtype=np.float32)
    table = Table("estimator", "alone", "from the moments", title=f"Every estimator, N = {N:,}, D1 = {D1:,}, C = {C}")
    moments = ClassMoments(D1, C)
    table.add_row("(moments)", f"{seconds(lambda: moments.update(X, y)):.2f} s", "")
    for name, estimator in ESTIMATORS:
        scorer = estimator()
        labels = (Z, y) if scorer.needs == "label embeddings" else (y,)
        given = logits if scorer.reads == "source logits" else X
        alone = seconds(lambda: scorer.fit(given, *labels))  # noqa: B023
        shared = ""
        if isinstance(scorer, MomentEstimator) and scorer.folds == 1:
            shared = f"{seconds(lambda: scorer.fit_moments(moments, Z)):.2f} s"  # noqa: B023
        table.add_row(name, f"{alone:.2f} s", shared)
    console.print(table)


def from_parquet(console: Console, rows: int, D2: int, K: int) -> None:
    """Score features from a file; the memory it takes is the growth of this process's peak."""
    rng = np.random.default_rng(0)
    y = rng.integers(CLASSES, size=rows)
    Z = rng.standard_normal((CLASSES, D2, K), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.parquet"
        schema = pa.schema({"features": pa.list_(pa.float32(), PARQUET_FEATURES)})
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for start in range(0, rows, PARQUET_BATCH):
                X = rng.standard_normal((min(PARQUET_BATCH, rows - start), PARQUET_FEATURES), dtype=np.float32)
                writer.write_table(
                    pa.table([pa.FixedSizeListArray.from_arrays(X.ravel(), PARQUET_FEATURES)], schema=schema)
                )

        def batches():
            parquet = pq.ParquetFile(path)
            for group in range(parquet.num_row_groups):
                column = parquet.read_row_group(group).column(0).combine_chunks()
                yield column.flatten().to_numpy().reshape(-1, PARQUET_FEATURES)

        def score() -> None:
            moments, start = ClassMoments(PARQUET_FEATURES, CLASSES), 0
            for X in batches():
                moments.update(X, y[start : start + len(X)])
                start += len(X)
            EMMS().fit_moments(moments, Z)

        def read_and_dsyrk() -> None:
            gram = np.zeros((PARQUET_FEATURES, PARQUET_FEATURES), order="F")
            for X in batches():
                gram = dsyrk(1.0, X.astype(np.float64).T, beta=1.0, c=gram, overwrite_c=1)

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        score()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        mine, bare = np.min([(seconds(score), seconds(read_and_dsyrk)) for _ in range(2)], axis=0)
    console.print(
        f"{rows:,} x {PARQUET_FEATURES} features from Parquet: {mine:.1f} s, {bare / mine:.0%} of the speed of reading "
        f"and dsyrk alone ({bare:.1f} s); peak memory grows by {grown:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems, to see that it runs")
    parser.add_argument("--parquet", type=int, default=0, metavar="ROWS", help="rows to score from a Parquet file")
    arguments = parser.parse_args()
    console = Console(width=120)
    warnings.simplefilter("ignore")
    cases = [(1_000, 128, 64, 3, 10), (1_000, 128, 64, 3, 0)] if arguments.quick else CASES
    if arguments.parquet:  # first, while the peak memory of this process is still its own
        from_parquet(console, arguments.parquet, cases[0][2], cases[0][3])
    against_textbook(console, cases)
    logme_and_the_rest(console, *cases[0])


if __name__ == "__main__":
    main()
