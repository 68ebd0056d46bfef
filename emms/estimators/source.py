"""Interface of the data that estimators are fitted to: the features of one candidate, and the labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from emms.errors import EstimatorError
from emms.moments import Moments
from emms.moments.rows import Rows


class Source(ABC):
    """The features of one candidate and the labels of N samples, read on access."""

    classes: bool
    """Whether samples share labels, so that a label is a class; otherwise each sample has its own label."""

    @property
    @abstractmethod
    def label_index(self) -> np.ndarray:
        """The index of each sample's label, (N,)."""

    @property
    @abstractmethod
    def label_embeddings(self) -> Rows:
        """The embeddings of all U different labels by K encoders, (U, D2, K).

        An array, or, if there are many labels, a `RowFile`, which is indexed like one and reads only those rows.
        """

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each sample, (N,), such as the image that it shares with other samples; None if they share none.

        Samples of a group are neither in different folds nor neighbours of each other.
        """
        return None

    @property
    @abstractmethod
    def batches(self) -> Iterable[np.ndarray]:
        """The features in batches (B, D1), in the order of the samples; can be iterated over more than once."""

    @abstractmethod
    def moments(self, folds: int) -> Sequence[Moments]:
        """Return the moments of features and labels in each of `folds` folds."""

    def features(self) -> np.ndarray:
        """Return all features at once, (N, D1)."""
        return np.concatenate(list(self.batches))

    def class_index(self, estimator: str) -> np.ndarray:
        """Return the class of each sample, (N,). Raises EstimatorError if labels are not classes."""
        if not self.classes:
            raise EstimatorError(
                f"estimator '{estimator}' needs classes, but in this task each sample has its own label; use "
                f"emms-decoded, emms-cv, emms, logme-f-label or knn-labels"
            )
        return self.label_index
