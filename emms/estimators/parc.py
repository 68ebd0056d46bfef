"""PARC: whether samples that are near in the features are near in the labels."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from emms.errors import EstimatorError
from emms.estimators.base import SampleEstimator
from emms.estimators.samples import axis_signs, bounded, row_blocks, varying
from emms.estimators.settings import Seed
from emms.moments.projection import DEPENDENT

Reduction = Literal["randomised", "exact"]

_STEPS = 2**30  # correlations are compared as 32-bit integers: sorting is fast, and what differs by rounding is equal


class PARC(SampleEstimator):
    """100 times Spearman's correlation, over all pairs of samples, of distance in the features and in the labels.

    X (N, D1) are features, y (N,) class labels. The features are reduced to principal components, each standardised.
    The distance of two samples is 1 - r, with r Pearson's correlation of their components (taken over components, so
    their signs matter: scikit-learn makes the largest loading of each positive). The distance of two labels is the same
    of their one-hot vectors: one number for all pairs of one class and another for all others. Correlations closer than
    1e-9 count as equal. A sample without variation over its components correlates with none. Scaling all features by
    one number changes nothing. `score_` is in [-100, 100], 0 if all pairs are equally far apart.

    The release of EMMS computes the labels' distances in float64, where those of different classes can differ in the
    last digit, and ranks by that digit, which depends on the processor. Its numbers are reproduced where all classes
    have one distance there, as with balanced classes.

    n_components: 32 in the release of EMMS; fewer where the features have no more dimensions.
    pca: `randomised` (with one power iteration, as released) or `exact`. Where N < D1 the random projection is one of
    the samples, so that their order makes a slight difference; `exact` makes none.
    max_samples: all pairs of so many samples are looked at (10,000 make 50 million, 4 bytes each); of larger datasets,
    random samples in the classes' proportion.
    seed: of the randomised PCA (modulo 2^32) and of the choice of samples.

    Bolya, Mittapalli, Hoffman: Scalable Diverse Model Selection for Accessible Transfer Learning, NeurIPS 2021.
    """

    name: ClassVar[str] = "parc"
    summary: ClassVar[str] = "rank correlation of the samples' distances in features and in labels"
    paper: ClassVar[str] = "Bolya et al., NeurIPS 2021, arXiv 2111.06977"
    cost: ClassVar[str] = "250 N D1 + N^2 log N, N at most 10,000"

    def __init__(
        self,
        n_components: Annotated[int, Field(ge=2)] = 32,
        pca: Reduction = "randomised",
        max_samples: Annotated[int, Field(ge=3)] = 10_000,
        seed: Seed = 1919,
    ) -> None:
        self.n_components = n_components
        self.pca = pca
        self.max_samples = max_samples
        self.seed = seed

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        if len(X) > self.max_samples:
            kept = self._choose(y)
            X, y = X[kept], y[kept]
        directions = self._components(bounded(varying(X)))
        directions -= directions.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        directions /= np.where(lengths > np.sqrt(DEPENDENT), lengths, np.inf)
        return -100 * _rank_correlation(*_pairs(directions, y))

    def _choose(self, y: np.ndarray) -> np.ndarray:
        """Return indices, ascending, of `max_samples` samples, evenly from each class."""
        order = np.random.default_rng(self.seed).permutation(len(y))
        order = order[np.argsort(y[order], kind="stable")]
        return np.sort(order[np.arange(self.max_samples) * len(y) // self.max_samples])

    def _components(self, X: np.ndarray) -> np.ndarray:
        """Return the principal components along which X varies, standardised."""
        from sklearn.decomposition import PCA  # here, since it takes a second that other estimators need not spend

        n_components = min(self.n_components, *X.shape)
        if self.pca == "exact":
            pca = PCA(n_components, svd_solver="covariance_eigh" if len(X) >= X.shape[1] else "full")
        else:
            pca = PCA(
                n_components,
                svd_solver="randomized",
                iterated_power=1,
                power_iteration_normalizer="QR",  # without, components of small variance would lose their digits
                random_state=self.seed % 2**32,
            )
        components = pca.fit_transform(X) * axis_signs(pca.components_)
        std = components.std(axis=0)
        kept = std**2 > DEPENDENT * std[0] ** 2
        if kept.sum() < 2:
            raise EstimatorError(
                "the features vary in one direction only, and PARC correlates over two or more; leave the network out"
            )
        return components[:, kept] / std[kept]


def _pairs(directions: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of all pairs of samples, the correlation in units of 1 / _STEPS and whether their classes differ, 0 or 1.

    directions: (N, d), of unit length. Raises EstimatorError when all pairs are of one class, or none.
    """
    N = len(y)
    counts = np.bincount(y)
    n_pairs, n_same = N * (N - 1) // 2, int((counts * (counts - 1) // 2).sum())
    if n_same in (0, n_pairs):
        raise EstimatorError(
            f"PARC compares pairs of samples of one class with pairs of two classes, and there are only the "
            f"{'former' if n_same else 'latter'}; use more samples of each class"
        )
    steps, different = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.uint8)
    filled = 0
    for rows in row_blocks(N, N):
        block = directions[rows] @ directions[rows.start :].T
        block *= _STEPS
        later = np.triu(np.ones(block.shape, bool), 1)
        found = slice(filled, filled + int(later.sum()))
        steps[found] = np.rint(block, out=block)[later]
        different[found] = (y[rows, None] != y[rows.start :])[later]
        filled = found.stop
    return steps, different


def _rank_correlation(values: np.ndarray, level: np.ndarray) -> float:
    """Return Spearman's correlation of values (n,) and level (n,), integers of which there are few different ones.

    So the mean rank of the values at each level, and the spread of all ranks, are all there is to know.
    """
    n, sizes = len(values), np.bincount(level)
    by_value = np.sort(values)
    tied = np.flatnonzero(by_value[1:] == by_value[:-1])
    # Where runs of consecutive positions in `tied` begin; a run of values is longer by one.
    ends = np.flatnonzero(np.diff(tied, prepend=-2, append=n + 1) != 1)
    spread = _spread(n, np.diff(ends) + 1)
    if spread <= 0:
        return 0.0
    centre = (n + 1) / 2
    ranks = np.zeros(len(sizes))
    largest = sizes.argmax()
    for i in np.flatnonzero(sizes):
        if i != largest:
            those = np.sort(values[level == i])
            below = [np.searchsorted(by_value, those, side).mean() for side in ("left", "right")]
            ranks[i] = (sum(below) + 1) / 2 - centre
    ranks[largest] = -(sizes @ ranks) / sizes[largest]  # all ranks sum to what they must
    level_ranks = np.cumsum(sizes) - (sizes - 1) / 2 - centre
    return float(np.sum(sizes * ranks * level_ranks) / np.sqrt(spread * _spread(n, sizes)))


def _spread(n: int, ties: np.ndarray) -> float:
    """Return the sum of squares about their mean of n ranks, of which these many at a time are equal."""
    ties = ties.astype(float)
    return (float(n) ** 3 - n - (ties**3 - ties).sum()) / 12
