"""Reading labels off features: predict their label embeddings, and see which label lies nearest to the prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from emms.moments import ClassMoments, TargetMoments

_ROWS = 1024
"""Samples that are compared with the same drawn labels. They are counted from the first one of all, so that the score
does not depend on how the samples come in batches."""
_ROUNDING = 1e-9
"""Distances that differ by no more than this part of the vectors' squares are equal."""


class Asked:
    """Which labels a sample's own one is compared with.

    labels: how many there are. others: with how many others, drawn by seed; None: with all.
    """

    def __init__(self, labels: int, others: int | None, seed: int) -> None:
        self.all = others is None or others >= labels - 1
        self.others = labels - 1 if others is None or self.all else others
        self._labels, self._seed = labels, seed

    def blocks(self, start: int, stop: int) -> Iterator[slice]:
        """Yield the samples from `start` to `stop` in blocks that are compared with the same labels."""
        while start < stop:
            end = stop if self.all else min(stop, (start // _ROWS + 1) * _ROWS)
            yield slice(start, end)
            start = end

    def labels(self, rows: slice) -> np.ndarray:
        """Return the labels that a block is compared with: one more, since a sample's own may be among them."""
        if self.all:
            return np.arange(self._labels)
        rng = np.random.default_rng([self._seed, rows.start // _ROWS])
        return rng.choice(self._labels, self.others + 1, replace=False)


class Decoder(ABC):
    """Predicts label embeddings from features, by ridge regression on training samples."""

    _mean: np.ndarray
    """Mean of the training features, (D1,)."""
    _weights: np.ndarray
    """From centred features to label embeddings of all encoders side by side, (D1, m)."""

    @abstractmethod
    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of labels (B,), of all encoders side by side, in units of the training samples."""

    def right(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray, others: int) -> float:
        """Return how many of the samples with features X (B, D1) have their own label y (B,) nearest to the prediction.

        It is compared with the first `others` different ones of `labels`. Equally near labels share the sample.
        """
        predicted = (X - self._mean) @ self._weights
        own, compared = self.embeddings(y), self.embeddings(labels)
        # |p - z|^2 without |p|^2, which all labels share.
        to_own = (own**2).sum(axis=1) - 2 * np.einsum("bd,bd->b", predicted, own)
        further = (compared**2).sum(axis=1) - 2 * predicted @ compared.T - to_own[:, None]
        different = labels != y[:, None]
        if different.shape[1] > others:
            different &= different.cumsum(axis=1) <= others
        slack = _ROUNDING * ((predicted**2).sum(axis=1) + (own**2).sum(axis=1))[:, None]
        nearer = (different & (further < -slack)).any(axis=1)
        tied = (different & (np.abs(further) <= slack)).sum(axis=1)
        return float((~nearer / (1 + tied)).sum())


class ClassDecoder(Decoder):
    """Reads off classes. penalties: (D1,), of the ridge. Z: (C, D2, K), the embeddings of the classes."""

    def __init__(self, training: ClassMoments, penalties: np.ndarray, Z: np.ndarray) -> None:
        labels = training.standardised(Z).reshape(len(Z), -1)
        if labels.shape[1] > len(labels):  # as many columns as classes keep all distances between them
            labels = np.linalg.qr(labels.T).R.T
        self._labels, self._mean = labels, training.mean
        self._weights = training.shrunk_space(penalties).solve(training.centred_sums().T @ labels)

    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of classes."""
        return self._labels[labels]


class OwnLabelDecoder(Decoder):
    """Reads off labels that samples do not share. penalties: (D1,). Z: (U, D2, K), the embeddings of all labels."""

    def __init__(self, training: TargetMoments, penalties: np.ndarray, Z: np.ndarray) -> None:
        self._training, self._Z, self._mean = training, Z, training.mean
        self._weights = training.shrunk_space(penalties).solve(training.crosses())

    def embeddings(self, labels: np.ndarray) -> np.ndarray:
        """Return the embeddings of labels, standardised when asked for: those of all would be too many to keep."""
        return self._training.standardised(self._Z[labels])
