"""Decode labels from features: predict label embeddings, and find the label nearest to the prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from emms.moments import ClassMoments, TargetMoments
from emms.moments.rows import Rows

_ROWS = 1024
"""Samples that share a pool of other labels. Blocks start at the first sample of all, so that the score does not depend
on the batches."""
_POOL = 1024
"""Labels in a pool, or four times as many as are drawn from it if that is more. With a pool, distances are matrix
products, while each sample is still compared with different labels."""
_ROUNDING = 1e-9
"""Distances that differ by at most this fraction of the vectors' squares are equal."""


class Comparison:
    """Chooses the other labels with which the label of each sample is compared.

    labels: (U,), the different labels. others: the number of other labels, drawn by seed; None: all.
    """

    def __init__(self, labels: np.ndarray, others: int | None, seed: int) -> None:
        self._others = None if others is None or others >= len(labels) - 1 else others
        self._labels, self._seed = labels, seed

    def blocks(self, start: int, stop: int) -> Iterator[slice]:
        """Yield the samples from `start` to `stop` in blocks that share a pool of labels."""
        while start < stop:
            end = stop if self._others is None else min(stop, (start // _ROWS + 1) * _ROWS)
            yield slice(start, end)
            start = end

    def labels(self, rows: slice, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a pool of labels (P,), and a mask (B, P) of those with which each sample of a block is compared.

        y: (B,), the labels of the samples. The mask has `others` True values per row, never for the sample's own label.
        """
        if self._others is None:
            return self._labels, self._labels != y[:, None]
        block, offset = divmod(rows.start, _ROWS)
        rng = np.random.default_rng([self._seed, block])
        pool = rng.choice(self._labels, min(len(self._labels), max(_POOL, 4 * self._others)), replace=False)
        order = rng.random((_ROWS, len(pool)), dtype=np.float32)[offset : offset + len(y)]
        order[pool == y[:, None]] = 2  # last
        drawn = np.argpartition(order, self._others - 1, axis=1)[:, : self._others]
        compared = np.zeros(order.shape, dtype=bool)
        np.put_along_axis(compared, drawn, True, axis=1)
        return pool, compared


class Decoder(ABC):
    """Predicts label embeddings from features, by ridge regression on training samples."""

    _mean: np.ndarray
    """Mean of the training features, (D1,)."""
    _weights: np.ndarray
    """From centred features to the concatenated label embeddings of all encoders, (D1, m)."""

    @abstractmethod
    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the concatenated embeddings of labels (B,) by all encoders, standardised over the training samples."""

    def right(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray, compared: np.ndarray) -> float:
        """Return how many samples, with features X (B, D1), have their own label y (B,) nearest to the prediction.

        compared: (B, P), mask of the `labels` (P,) to compare with. A sample with m labels equally near counts 1 / m.
        """
        predicted = (X - self._mean) @ self._weights
        own, others = self.embeddings(y), self.embeddings(labels)
        # |p - z|^2 without |p|^2, which is the same for all labels.
        to_own = (own**2).sum(axis=1) - 2 * np.einsum("bd,bd->b", predicted, own)
        further = (others**2).sum(axis=1) - 2 * predicted @ others.T - to_own[:, None]
        slack = _ROUNDING * ((predicted**2).sum(axis=1) + (own**2).sum(axis=1))[:, None]
        nearer = (compared & (further < -slack)).any(axis=1)
        tied = (compared & (np.abs(further) <= slack)).sum(axis=1)
        return float((~nearer / (1 + tied)).sum())


class ClassDecoder(Decoder):
    """Decodes classes. penalties: (D1,), of the ridge. Z: (C, D2, K), the embeddings of the classes."""

    def __init__(self, training: ClassMoments, penalties: np.ndarray, Z: np.ndarray) -> None:
        labels = training.standardised(Z).reshape(len(Z), -1)
        if labels.shape[1] > len(labels):  # C columns are enough to have the same distances
            labels = np.linalg.qr(labels.T).R.T
        self._labels, self._mean = labels, training.mean
        self._weights = training.shrunk_space(penalties).solve(training.centred_sums().T @ labels)

    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of classes."""
        return self._labels[labels]


class OwnLabelDecoder(Decoder):
    """Decodes labels that samples do not share. penalties: (D1,). Z: (U, D2, K), the embeddings of all labels."""

    def __init__(self, training: TargetMoments, penalties: np.ndarray, Z: Rows) -> None:
        self._training, self._Z, self._mean = training, Z, training.mean
        self._weights = training.shrunk_space(penalties).solve(training.crosses())

    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of labels, standardised on the fly, since a copy for each fold would be too large."""
        return self._training.standardised(self._Z[labels])
