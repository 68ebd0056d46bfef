"""EMMS, decoded: how often the label embeddings that features predict, out of sample, are nearest to the right ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import BatchEstimator, check_labels_vary, checked_samples
from emms.estimators.samples import row_blocks
from emms.estimators.settings import Folds, Seed
from emms.moments import ClassMoments
from emms.moments.checks import as_class_indices, as_numbers
from emms.moments.folds import add_up, deal


class EMMSDecoded(BatchEstimator):
    """Part of the held-out samples whose predicted label embedding is nearest to that of their own class.

    Ridge regression predicts the label embeddings of all K encoders from the features, fold by fold from the moments
    of the other folds; a sample's class is then read off as the one whose embeddings, side by side, lie nearest to the
    predicted ones. X and Z are standardised. The penalty is D1: a prior by which features of any number explain as much
    as there is noise. Nothing is tuned, neither by hand nor on the data.

    Where EMMS asks how much of the labels' variance features explain, this asks whether it is the part that tells
    classes apart; and since held-out samples are asked, width alone earns nothing.

    validation: into how many folds the samples of each class are dealt; seed: of their random order. Folds are by
    place, not by features, so that all networks share them; so another order of the samples gives other folds.

    After Meng et al.: Foundation Model is Efficient Multimodal Multitask Model Selector, NeurIPS 2023.
    """

    name: ClassVar[str] = "emms-decoded"
    summary: ClassVar[str] = "part of held-out samples whose label can be read off the predicted label embedding"
    paper: ClassVar[str] = "after Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "5 (D1^3 / 3 + 2 C D1^2) + N C D1"
    version = 2

    def __init__(self, validation: Folds = 5, seed: Seed = 0) -> None:
        self.validation, self.seed = validation, seed

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features X (N, D1) against the label embeddings of classes.

        Z: (C, D2, K), embeddings of each class from K encoders; of two dimensions it is K = 1. y: (N,), class indices
        from 0 to C - 1. Raises EstimatorError for nan, wrong shapes, fewer than two classes, and fewer samples than
        folds.
        """
        X = as_numbers("features", X, "N", "D1")
        if y is None:
            raise EstimatorError("labels can be read off for classes alone; for labels of each sample use 'emms-cv'")
        y = as_class_indices(y)
        checked_samples(X[:, :1], y)
        return self.fit_batches([X[rows] for rows in row_blocks(*X.shape)], Z, y)

    def fit_batches(self, batches: Iterable[np.ndarray], Z: Any, y: np.ndarray) -> Self:
        """Score features that come in batches (B, D1), in the order of y (N,); otherwise as `fit`."""
        Z = as_numbers("label embeddings", Z, "C", "D2", "K")
        if len(y) < self.validation:
            raise EstimatorError(
                f"{len(y)} samples cannot be dealt into {self.validation} folds; use more samples, or lower the "
                f"setting 'validation' of estimator '{self.name}'"
            )
        dealt = deal(y, self.validation, self.seed)
        first = next(iter(batches), None)
        if first is None:
            raise EstimatorError("there are no batches of features to score")
        parts = [ClassMoments(first.shape[1], len(Z)) for _ in range(self.validation)]
        add_up(parts, batches, dealt, y)
        total = reduce(add, parts)
        if total.count != len(y):
            raise EstimatorError(
                f"batches hold {total.count} rows of features, but there are {len(y)} class labels; there must be one "
                f"a row, and the batches must be a list or the like, since they are gone through more than once"
            )
        check_labels_vary(total, Z)
        penalties = total.unit_penalties()
        decoders = [_Decoder(total - part, penalties, Z) for part in parts]
        right, start = np.zeros(self.validation), 0
        for batch in batches:
            here, fold_of = y[start : start + len(batch)], dealt[start : start + len(batch)]
            for fold, decoder in enumerate(decoders):
                mine = fold_of == fold
                right[fold] += np.count_nonzero(decoder(batch[mine]) == here[mine])
            start += len(batch)
        self.fold_scores_ = right / [part.count for part in parts]
        self.score_ = float(right.sum() / len(y))
        return self


class _Decoder:
    """Reads classes off features, by a ridge regression of label embeddings (C, D2, K) on training samples."""

    def __init__(self, training: ClassMoments, penalties: np.ndarray, Z: np.ndarray) -> None:
        labels = training.standardised(Z).reshape(len(Z), -1)
        if labels.shape[1] > len(labels):  # as many columns as classes keep all distances between them
            labels = np.linalg.qr(labels.T).R.T
        self._labels, self._squares, self._mean = labels, (labels**2).sum(axis=1), training.mean
        self._weights = training.shrunk_space(penalties).solve(training.centred_sums().T @ labels)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the class (B,) whose label embedding lies nearest to the one that features X (B, D1) predict."""
        predicted = (X - self._mean) @ self._weights
        # |p - z|^2 without |p|^2, which all classes share.
        return np.argmin(self._squares - 2 * predicted @ self._labels.T, axis=1)
