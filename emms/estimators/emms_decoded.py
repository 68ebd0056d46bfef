"""EMMS, decoded: how often the label embeddings that features predict, out of sample, are nearest to the right ones."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import Estimator, checked_samples
from emms.estimators.samples import row_blocks
from emms.estimators.settings import checked_count
from emms.moments import ClassMoments
from emms.moments.checks import as_numbers
from emms.moments.folds import deal


class EMMSDecoded(Estimator):
    """Part of the held-out samples whose predicted label embedding is nearest to that of their own class.

    Ridge regression predicts the label embeddings of all K encoders from the features, fold by fold from the moments
    of the other folds; a sample's class is then read off as the one whose embeddings, side by side, lie nearest to the
    predicted ones. X and Z are standardised. The penalty is D1: a prior by which features of any number explain as much
    as there is noise. Nothing is tuned, neither by hand nor on the data.

    Where EMMS asks how much of the labels' variance features explain, this asks whether it is the part that tells
    classes apart; and since held-out samples are asked, width alone earns nothing.

    validation: into how many folds the samples of each class are dealt; seed: of their random order.

    After Meng et al.: Foundation Model is Efficient Multimodal Multitask Model Selector, NeurIPS 2023.
    """

    name: ClassVar[str] = "emms-decoded"
    summary: ClassVar[str] = "part of held-out samples whose label can be read off the predicted label embedding"
    needs = "label embeddings"
    reads = "samples"
    paper: ClassVar[str] = "after Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "5 (D1^3 / 3 + 2 C D1^2) + N C D1"

    fold_scores_: np.ndarray
    """The score of each fold alone, (validation,)."""

    def __init__(self, validation: int = 5, seed: int = 0) -> None:
        self.validation = checked_count(self.name, "validation", validation, least=2)
        self.seed = checked_count(self.name, "seed", seed, least=0)

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features X (N, D1) against the label embeddings of classes.

        Z: (C, D2, K), embeddings of each class from K encoders; of two dimensions it is K = 1. y: (N,), class indices
        from 0 to C - 1. Raises EstimatorError for nan, wrong shapes, fewer than two classes, and fewer samples than
        folds.
        """
        X, Z = as_numbers("features", X, "N", "D1"), as_numbers("label embeddings", Z, "C", "D2", "K")
        if y is None:
            raise EstimatorError("labels can be read off for classes alone; for labels of each sample use 'emms-cv'")
        y = np.asarray(y)
        checked_samples(X[:, :1], y)
        if len(X) < self.validation:
            raise EstimatorError(f"{len(X)} samples cannot be dealt into {self.validation} folds; use fewer")
        dealt = deal(y, self.validation, self.seed)
        folds = [
            ClassMoments(X.shape[1], len(Z)).update(X[dealt == fold], y[dealt == fold])
            for fold in range(self.validation)
        ]
        total = reduce(add, folds)
        penalties = total.unit_penalties()
        right = np.empty(self.validation)
        for fold, part in enumerate(folds):
            held_out = np.flatnonzero(dealt == fold)
            right[fold] = _decoded(total - part, penalties, Z, X, y, held_out)
        self.fold_scores_ = right / [part.count for part in folds]
        self.score_ = float(right.sum() / len(X))
        return self


def _decoded(
    training: ClassMoments, penalties: np.ndarray, Z: np.ndarray, X: np.ndarray, y: np.ndarray, held_out: np.ndarray
) -> int:
    """Return for how many of the held-out samples the nearest label embedding is that of their class."""
    labels = training.standardised(Z).reshape(len(Z), -1)
    if labels.shape[1] > len(labels):  # as many columns as classes keep all distances between them
        labels = np.linalg.qr(labels.T).R.T
    weights = training.shrunk_space(penalties).solve(training.centred_sums().T @ labels)
    squares = (labels**2).sum(axis=1)
    right = 0
    for rows in row_blocks(len(held_out), X.shape[1] + len(labels)):
        here = held_out[rows]
        predicted = (X[here] - training.mean) @ weights
        # |p - z|^2 without |p|^2, which all classes share.
        right += int((np.argmin(squares - 2 * predicted @ labels.T, axis=1) == y[here]).sum())
    return right
