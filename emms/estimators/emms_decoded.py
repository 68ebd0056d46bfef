"""EMMS, decoded: how often the label of a held-out sample is nearest to its predicted label embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import numpy as np

from emms.errors import EstimatorError
from emms.estimators.base import BatchEstimator, check_labels_vary, checked_samples
from emms.estimators.decoding import ClassDecoder, Comparison, Decoder, OwnLabelDecoder
from emms.estimators.samples import row_blocks
from emms.estimators.settings import Count, Folds, Seed
from emms.moments import ClassMoments, Moments, TargetMoments
from emms.moments.checks import as_class_indices, as_numbers
from emms.moments.folds import add_up, assign_folds
from emms.moments.rows import RowFile, Rows


class EMMSDecoded(BatchEstimator):
    """Proportion of held-out samples whose predicted label embedding is nearer to their own label than to others.

    For each fold, ridge regression predicts the label embeddings of all K encoders from the features, fitted to the
    moments of the other folds. X and Z are standardised. The penalty is D1: a prior by which signal and noise have the
    same variance for any number of features. Nothing is tuned, neither by hand nor on the data. A held-out sample
    counts as right if, among several labels, the concatenated embeddings of its own label are nearest to the predicted
    ones. These labels are

    - all C labels, if samples share labels (classes); the chance level is 1 / C;
    - its own and m others, if each sample has its own label (captions, answers): m = `others` different labels of
      other samples, drawn by seed, or all of them if there are fewer; the chance level is 1 / (m + 1).

    A sample with m labels equally near, its own among them, counts 1 / m.

    While EMMS measures how much of the variance of label embeddings the features explain, this measures whether they
    explain the part that distinguishes labels. Since samples are held out, width alone does not increase the score.

    validation: number of folds, stratified by label; samples of one group, such as those of one image, are in the same
    fold. others: m. seed: of the folds and of the labels that are drawn.
    Folds depend on the order of the samples, not on features, so that all networks share them.

    After Meng et al.: Foundation Model is Efficient Multimodal Multitask Model Selector, NeurIPS 2023.
    """

    name: ClassVar[str] = "emms-decoded"
    summary: ClassVar[str] = "share of held-out samples whose label is nearest to the predicted label embedding"
    paper: ClassVar[str] = "after Meng et al., NeurIPS 2023, arXiv 2308.06262"
    cost: ClassVar[str] = "5 (D1^3 / 3 + 2 C D1^2) + N C D1"
    proportion = True
    version = 4

    def __init__(self, validation: Folds = 5, others: Count = 99, seed: Seed = 0) -> None:
        self.validation, self.others, self.seed = validation, others, seed

    def fit(self, X: Any, Z: Any, y: Any = None, groups: Any = None) -> Self:
        """Score features X (N, D1) against label embeddings.

        Z: (C, D2, K), label embeddings per class from K encoders, with y (N,), class indices from 0 to C - 1; or
        (N, D2, K), per sample, without y. A Z with two dimensions is K = 1. groups: (N,), the group of each sample,
        such as its image, if samples share them.
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
        if groups is not None and np.shape(groups) != (len(X),):
            raise EstimatorError(f"{len(X)} rows of features, but groups of shape {np.shape(groups)}; give one per row")
        return self.fit_batches([X[rows] for rows in row_blocks(*X.shape)], Z, y, classes=classes, groups=groups)

    def fit_batches(
        self,
        batches: Iterable[np.ndarray],
        Z: Any,
        y: np.ndarray,
        /,
        *,
        classes: bool = True,
        groups: np.ndarray | None = None,
    ) -> Self:
        """Score features in batches (B, D1), in the order of y (N,); see `BatchEstimator`."""
        if classes or not isinstance(Z, RowFile):
            Z = as_numbers("label embeddings", Z, "C" if classes else "U", "D2", "K")
        if len(y) < self.validation:
            raise EstimatorError(
                f"{len(y)} samples cannot be split into {self.validation} folds; use more samples, or lower the "
                f"setting 'validation' of estimator '{self.name}'"
            )
        fold_of = assign_folds(y, self.validation, self.seed, groups)
        first = next(iter(batches), None)
        if first is None:
            raise EstimatorError("there are no batches of features to score")
        decoders, counts = (self._class_decoders if classes else self._own_label_decoders)(
            batches, Z, y, fold_of, first.shape[1]
        )
        comparison = (
            Comparison(np.arange(len(Z)), None, self.seed)
            if classes
            else Comparison(np.unique(y), self.others, self.seed)
        )
        right, start = np.zeros(self.validation), 0
        for batch in batches:
            for rows in comparison.blocks(start, start + len(batch)):
                features, (labels, compared) = (
                    batch[rows.start - start : rows.stop - start],
                    comparison.labels(rows, y[rows]),
                )
                for fold, decoder in enumerate(decoders):
                    held_out = fold_of[rows] == fold
                    if held_out.any():
                        right[fold] += decoder.right(features[held_out], y[rows][held_out], labels, compared[held_out])
            start += len(batch)
        self.fold_scores_ = right / counts
        self.score_ = float(right.sum() / len(y))
        return self

    def _class_decoders(
        self, batches: Iterable[np.ndarray], Z: np.ndarray, y: np.ndarray, fold_of: np.ndarray, width: int
    ) -> tuple[Sequence[Decoder], list[int]]:
        """Return a decoder for each fold, fitted to the other folds, and the number of samples of each fold."""
        parts = [ClassMoments(width, len(Z)) for _ in range(self.validation)]
        add_up(parts, batches, fold_of, y)
        total = reduce(add, parts)
        _check_batches(total, y)
        check_labels_vary(total, Z)
        penalties = total.unit_penalties()
        return [ClassDecoder(total - part, penalties, Z) for part in parts], [part.count for part in parts]

    def _own_label_decoders(
        self, batches: Iterable[np.ndarray], Z: Rows, y: np.ndarray, fold_of: np.ndarray, width: int
    ) -> tuple[Sequence[Decoder], list[int]]:
        """Return the same as `_class_decoders` for labels that samples do not share."""
        parts = [TargetMoments(width, *Z.shape[1:]) for _ in range(self.validation)]
        add_up(parts, batches, fold_of, y, Z)
        total = reduce(add, parts)
        _check_batches(total, y)
        check_labels_vary(total, None)
        penalties = total.unit_penalties()
        return [OwnLabelDecoder(total - part, penalties, Z) for part in parts], [part.count for part in parts]


def _check_batches(total: Moments, y: np.ndarray) -> None:
    """Raise EstimatorError unless there is a row of features for each label."""
    if total.count != len(y):
        raise EstimatorError(
            f"batches contain {total.count} rows of features, but there are {len(y)} labels; there must be one per "
            f"row, and the batches must be a list or similar, since they are iterated over more than once"
        )
