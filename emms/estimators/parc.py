"""PARC: rank correlation of distances between samples in features and in labels."""

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

_STEPS = 2**30  # correlations are rounded to 32-bit integers, so that sorting is fast and rounding errors vanish


class PARC(SampleEstimator):
    """100 times Spearman's correlation, over all pairs of samples, of distances in the features and in the labels.

    X (N, D1) are features, y (N,) class labels. The features are reduced to principal components, each standardised.
    The distance of two samples is 1 - r, with r Pearson's correlation of their components (over components, so that
    their signs matter: scikit-learn makes the largest loading of each positive). The distance of two labels is that of
    their one-hot vectors: one number for all pairs in the same class and another for all others. Correlations closer
    than 1e-9 count as equal. A sample with constant components has correlation 0 with all others. The score does not
    depend on the scale of the features. `score_` is in [-100, 100], 0 if all pairs have the same distance.

    The release of EMMS computes the distances of labels in float64, where those of different classes can differ in the
    last digit, and ranks by that digit, which depends on the processor. Its numbers are reproduced if all classes have
    the same distance there, as with balanced classes.

    n_components: 32 in the release of EMMS; fewer if the features have fewer dimensions.
    pca: `randomised` (with one power iteration, as released) or `exact`. If N < D1 the random projection is one of the
    samples, so that the score depends slightly on their order; with `exact` it does not.
    max_samples: maximum number of samples, all pairs of which are compared (10,000 have 50 million pairs, of 4 bytes
    each); larger datasets are subsampled at random, stratified by class.
    seed: of the randomised PCA (modulo 2^32) and of the subsample.

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
            chosen = self._choose(y)
            X, y = X[chosen], y[chosen]
        directions = self._components(bounded(varying(X)))
        directions -= directions.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        directions /= np.where(lengths > np.sqrt(DEPENDENT), lengths, np.inf)
        return -100 * _rank_correlation(*_pairs(directions, y))

    def _choose(self, y: np.ndarray) -> np.ndarray:
        """Return the sorted indices of a random subsample of `max_samples` samples, stratified by class."""
        order = np.random.default_rng(self.seed).permutation(len(y))
        order = order[np.argsort(y[order], kind="stable")]
        return np.sort(order[np.arange(self.max_samples) * len(y) // self.max_samples])

    def _components(self, X: np.ndarray) -> np.ndarray:
        """Return the principal components along which X varies, standardised."""
        from sklearn.decomposition import PCA  # takes a second to import

        n_components = min(self.n_components, *X.shape)
        if self.pca == "exact":
            pca = PCA(n_components, svd_solver="covariance_eigh" if len(X) >= X.shape[1] else "full")
        else:
            pca = PCA(
                n_components,
                svd_solver="randomized",
                iterated_power=1,
                power_iteration_normalizer="QR",  # without, components of small variance would lose precision
                random_state=self.seed % 2**32,
            )
        components = pca.fit_transform(X) * axis_signs(pca.components_)
        std = components.std(axis=0)
        kept = std**2 > DEPENDENT * std[0] ** 2
        if kept.sum() < 2:
            raise EstimatorError(
                "the features vary in one direction only, and PARC needs two or more; leave the network out"
            )
        return components[:, kept] / std[kept]


def _pairs(directions: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of each pair of samples in units of 1 / _STEPS, and whether their classes differ, 0 or 1.

    directions: (N, d), of unit length. Raises EstimatorError if all pairs, or none, are in the same class.
    """
    N = len(y)
    counts = np.bincount(y)
    n_pairs, n_same = N * (N - 1) // 2, int((counts * (counts - 1) // 2).sum())
    if n_same in (0, n_pairs):
        raise EstimatorError(
            f"PARC compares pairs of samples in the same class with pairs in different classes, and there are only the "
            f"{'former' if n_same else 'latter'}; use more samples of each class"
        )
    steps, different = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.uint8)
    filled = 0
    for rows in row_blocks(N, N):
        block = directions[rows] @ directions[rows.start :].T
        block *= _STEPS
        later = np.triu(np.ones(block.shape, bool), 1)
        pairs = slice(filled, filled + int(later.sum()))
        steps[pairs] = np.rint(block, out=block)[later]
        different[pairs] = (y[rows, None] != y[rows.start :])[later]
        filled = pairs.stop
    return steps, different


def _rank_correlation(values: np.ndarray, level: np.ndarray) -> float:
    """Return Spearman's correlation of values (n,) and level (n,), where level has few different values.

    It is computed from the mean rank of the values at each level and the variance of all ranks.
    """
    n, sizes = len(values), np.bincount(level)
    by_value = np.sort(values)
    tied = np.flatnonzero(by_value[1:] == by_value[:-1])
    # Starts of runs of consecutive positions in `tied`; a run of equal values is longer by one.
    ends = np.flatnonzero(np.diff(tied, prepend=-2, append=n + 1) != 1)
    spread = _spread(n, np.diff(ends) + 1)
    if spread <= 0:
        return 0.0
    centre = (n + 1) / 2
    ranks = np.zeros(len(sizes))
    largest = sizes.argmax()
    for i in np.flatnonzero(sizes):
        if i != largest:
            at_level = np.sort(values[level == i])
            below = [np.searchsorted(by_value, at_level, side).mean() for side in ("left", "right")]
            ranks[i] = (sum(below) + 1) / 2 - centre
    ranks[largest] = -(sizes @ ranks) / sizes[largest]  # since the centred ranks sum to zero
    level_ranks = np.cumsum(sizes) - (sizes - 1) / 2 - centre
    return float(np.sum(sizes * ranks * level_ranks) / np.sqrt(spread * _spread(n, sizes)))


def _spread(n: int, ties: np.ndarray) -> float:
    """Return the sum of squares about the mean of n ranks; ties: the sizes of groups of equal values."""
    ties = ties.astype(float)
    return (float(n) ** 3 - n - (ties**3 - ties).sum()) / 12
