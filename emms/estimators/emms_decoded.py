"""EMMS, decoded: how often a held-out sample's label can be read off the label embedding that its features predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import BatchEstimator, check_labels_vary, checked_samples
from emms.estimators.decoding import Asked, ClassDecoder, Decoder, OwnLabelDecoder
from emms.estimators.samples import row_blocks
from emms.estimators.settings import Count, Folds, Seed
from emms.moments import ClassMoments, Moments, TargetMoments
from emms.moments.checks import as_class_indices, as_numbers
from emms.moments.folds import add_up, deal


class EMMSDecoded(BatchEstimator):
    """Part of the held-out samples whose predicted label embedding is nearer to their own label than to others.

    Ridge regression predicts the label embeddings of all K encoders from the features, fold by fold from the moments
    of the other folds. X and Z are standardised. The penalty is D1: a prior by which features of any number explain as
    much as there is noise. Nothing is tuned, neither by hand nor on the data. A held-out sample counts if, of several
    labels, its own is the one whose embeddings, side by side, lie nearest to the predicted ones. These labels are

    - all C of them where samples share labels (classes); by chance a sample counts with probability 1 / C;
    - its own and m others where each sample has a label of its own (captions, answers), m = `others` different labels
      drawn by seed, or all there are if these are fewer; by chance a sample counts with probability 1 / (m + 1).

    Where other labels are exactly as near as its own, the sample counts as their equal share.

    Where EMMS asks how much of the labels' variance features explain, this asks whether it is the part that tells
    labels apart; and since held-out samples are asked, width alone earns nothing.

    validation: into how many folds the samples are dealt, those of each label evenly. others: m. seed: of the order in
    which samples are dealt, and of the labels that are drawn. Folds are by place, not by features, so that all
    networks share them; so another order of the samples gives other folds.

    After Meng et al.: Foundation Model is Efficient Multimodal Multitask Model Selector, NeurIPS 2023.
    """

    name: ClassVar[str] = "emms-decoded"
    summary: ClassVar[str] = "part of held-out samples whose label can be read off the predicted label embedding"
    paper: ClassVar[str] = "after Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "5 (D1^3 / 3 + 2 C D1^2) + N C D1"
    proportion = True
    version = 3

    def __init__(self, validation: Folds = 5, others: Count = 99, seed: Seed = 0) -> None:
        self.validation, self.others, self.seed = validation, others, seed

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features X (N, D1) against label embeddings.

        Z: (C, D2, K), embeddings of each class from K encoders, with y (N,), class indices from 0 to C - 1; or
        (N, D2, K), embeddings of the label of each sample, without y. Of two dimensions it is K = 1.
        Raises EstimatorError for nan, wrong shapes, fewer than two labels, and fewer samples than folds.
        """
        X = as_numbers("features", X, "N", "D1")
        classes = y is not None
        if classes:
            y = as_class_indices(y)
        else:
            Z = as_numbers("label embeddings", Z, "N", "D2", "K")
            distinct, y = np.unique(Z.reshape(len(Z), -1), axis=0, return_inverse=True)
            Z = distinct.reshape(-1, *Z.shape[1:])
        checked_samples(X[:, :1], y)
        return self.fit_batches([X[rows] for rows in row_blocks(*X.shape)], Z, y, classes=classes)

    def fit_batches(self, batches: Iterable[np.ndarray], Z: Any, y: np.ndarray, /, *, classes: bool = True) -> Self:
        """Score features that come in batches (B, D1), in the order of y (N,); see `BatchEstimator`."""
        Z = as_numbers("label embeddings", Z, "C" if classes else "U", "D2", "K")
        if len(y) < self.validation:
            raise EstimatorError(
                f"{len(y)} samples cannot be dealt into {self.validation} folds; use more samples, or lower the "
                f"setting 'validation' of estimator '{self.name}'"
            )
        dealt = deal(y, self.validation, self.seed)
        first = next(iter(batches), None)
        if first is None:
            raise EstimatorError("there are no batches of features to score")
        decoders, counts = (self._class_decoders if classes else self._own_label_decoders)(
            batches, Z, y, dealt, first.shape[1]
        )
        asked = Asked(len(Z), None if classes else self.others, self.seed)
        right, start = np.zeros(self.validation), 0
        for batch in batches:
            for rows in asked.blocks(start, start + len(batch)):
                features, (labels, compared) = (
                    batch[rows.start - start : rows.stop - start],
                    asked.labels(rows, y[rows]),
                )
                for fold, decoder in enumerate(decoders):
                    mine = dealt[rows] == fold
                    if mine.any():
                        right[fold] += decoder.right(features[mine], y[rows][mine], labels, compared[mine])
            start += len(batch)
        self.fold_scores_ = right / counts
        self.score_ = float(right.sum() / len(y))
        return self

    def _class_decoders(
        self, batches: Iterable[np.ndarray], Z: np.ndarray, y: np.ndarray, dealt: np.ndarray, width: int
    ) -> tuple[Sequence[Decoder], list[int]]:
        """Return a decoder for each fold, from the samples of the others, and how many samples each fold has."""
        parts = [ClassMoments(width, len(Z)) for _ in range(self.validation)]
        add_up(parts, batches, dealt, y)
        total = reduce(add, parts)
        _check_batches(total, y)
        check_labels_vary(total, Z)
        penalties = total.unit_penalties()
        return [ClassDecoder(total - part, penalties, Z) for part in parts], [part.count for part in parts]

    def _own_label_decoders(
        self, batches: Iterable[np.ndarray], Z: np.ndarray, y: np.ndarray, dealt: np.ndarray, width: int
    ) -> tuple[Sequence[Decoder], list[int]]:
        """Return what `_class_decoders` does, for labels that samples do not share."""
        parts = [TargetMoments(width, *Z.shape[1:]) for _ in range(self.validation)]
        add_up(parts, batches, dealt, y, Z)
        total = reduce(add, parts)
        _check_batches(total, y)
        check_labels_vary(total, None)
        penalties = total.unit_penalties()
        return [OwnLabelDecoder(total - part, penalties, Z) for part in parts], [part.count for part in parts]


def _check_batches(total: Moments, y: np.ndarray) -> None:
    """Raise EstimatorError unless there was a row of features for each label."""
    if total.count != len(y):
        raise EstimatorError(
            f"batches hold {total.count} rows of features, but there are {len(y)} labels; there must be one per row, "
            f"and the batches must be a list or the like, since they are gone through more than once"
        )
