"""Base classes of transferability estimators, with the interface of scikit-learn."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator

from emms.errors import EstimatorError
from emms.estimators.settings import checking
from emms.estimators.source import Source
from emms.moments import ClassMoments, Moments, TargetMoments
from emms.moments.checks import as_numbers, check_finite
from emms.moments.tensors import on_gpu

LEAST_VARIANCE = 0.01
"""Minimum variance of standardised columns; it is 1 unless the standard deviation is close to EPSILON."""


class UnreliableScoreWarning(UserWarning):
    """A score was computed, but has little meaning; the message names the cause and the remedy."""


class Estimator(BaseEstimator, ABC):
    """Base class of estimators, which score the features of one network on one dataset; larger is better.

    The constructor takes only settings, and stores each in an attribute of the same name. They are checked and
    converted by their annotations (see `emms.estimators.settings`); EstimatorError is raised for invalid ones.
    `fit` returns self; results end in an underscore. Derive from the subclass for the input of the estimator: moments
    of the features (`MomentEstimator`), the features themselves (`SampleEstimator`, `BatchEstimator`), or the logits of
    the network's classifier (`LogitsEstimator`).
    """

    name: ClassVar[str]
    """Name in a spec."""
    summary: ClassVar[str]
    """One line on what it measures."""
    needs: ClassVar[Literal["labels", "label embeddings"]]
    """Which labels it needs."""
    reads: ClassVar[Literal["moments", "samples", "source logits"]]
    """Which input it reads."""
    paper: ClassVar[str]
    """Authors, venue, year and arXiv number."""
    version: ClassVar[int] = 1
    """Raise it if the scores of the same features change, so that scores in a store are computed again."""
    rewards_width: bool = False
    """Whether wide features, even untrained ones, have high scores, since the estimator is fitted to the samples that
    it scores, or sums over features."""
    proportion: ClassVar[bool] = False
    """Whether the score is a share of the samples, such as an accuracy."""
    cost: ClassVar[str]
    """Operations in addition to reading the features once, in N, D1, C, D2, K."""

    score_: float
    """The score: larger is better."""
    fold_scores_: np.ndarray | None = None
    """The score of each fold, if it is cross-validated on folds that depend only on labels and a seed: then all
    candidates share them, and a run estimates the uncertainty of the ranking."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = checking(cls.__init__)  # type: ignore[method-assign]

    @checking
    def __init__(self) -> None: ...

    def set_params(self, **settings: Any) -> Self:
        """Change settings. Raises EstimatorError as the constructor does, without changing any setting."""
        changed = type(self)(**{**self.get_params(), **settings})
        self.__dict__.update(changed.__dict__)
        return self

    @abstractmethod
    def fit(self, X: Any, labels: Any, /) -> Self:
        """Score features X (N, D1) against labels: class indices (N,) or label embeddings, as `needs` says.

        Raises EstimatorError if the score is undefined.
        """

    def fit_source(self, source: Source) -> Self:
        """Score the features of a source, reading the input of this kind of estimator.

        Raises EstimatorError if the score is undefined, or if the estimator needs classes and the task has none.
        """
        if self.needs == "labels":
            return self.fit(source.features(), source.class_index(self.name))
        fit: Any = self.fit
        return fit(source.features(), source.label_embeddings, source.label_index)


class MomentEstimator(Estimator):
    """An estimator that only needs the moments of the features, so that memory does not depend on N."""

    reads = "moments"
    folds: int = 1
    """Number of folds whose moments it needs; with more than one, `fit_folds` is called."""

    @abstractmethod
    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from the moments of features and labels.

        label_embeddings: (C, D2, K), one per class; None if the estimator needs none or the moments contain them.
        Raises EstimatorError if the score is undefined.
        """

    def fit_folds(self, folds: Sequence[Moments], label_embeddings: np.ndarray | None = None) -> Self:
        """Score by cross-validation from the moments of several folds; otherwise like `fit_moments`."""
        raise NotImplementedError(f"estimator '{self.name}' is not cross-validated")

    def fit_source(self, source: Source) -> Self:
        """Score from the moments of a source's features."""
        if self.needs == "labels":
            source.class_index(self.name)
        moments = source.moments(self.folds)
        # TargetMoments already contain the label embeddings.
        needed = source.classes and self.needs == "label embeddings"
        embeddings = np.asarray(source.label_embeddings) if needed else None
        return (
            self.fit_folds(moments, embeddings)
            if self.folds > 1
            else self.fit_moments(reduce(add, moments), embeddings)
        )


class ClassMomentEstimator(MomentEstimator):
    """An estimator that compares moments with class labels."""

    needs = "labels"

    def fit(self, X: Any, y: Any) -> Self:
        """Score features X (N, D1) against class labels y (N,), integers or names.

        Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
        """
        X, y, n_classes = checked_samples(X, y)
        return self.fit_moments(ClassMoments(X.shape[1], n_classes).update(X, y))


class SampleEstimator(Estimator):
    """An estimator that compares features with class labels, with all features in memory."""

    needs = "labels"
    reads = "samples"

    def fit(self, X: Any, y: Any) -> Self:
        """Score features X (N, D1) against class labels y (N,), integers or names.

        Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
        """
        self.score_ = finite(self.name, self._score(*checked_samples(X, y)))
        return self

    @abstractmethod
    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        """Return the score of finite features X (N, D1), float64, and class indices y (N,), each class present."""


class BatchEstimator(Estimator):
    """An estimator that compares features with label embeddings and reads the features in batches, more than once."""

    needs = "label embeddings"
    reads = "samples"

    @abstractmethod
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
        """Score features in batches (B, D1), in the order of the labels y (N,).

        batches: can be iterated over more than once. Z: (U, D2, K), embeddings of the U different labels, an array or a
        `RowFile`. classes: whether a label is a class, which many samples share. groups: (N,), see `Source.groups`.
        Raises EstimatorError if the score is undefined.
        """

    def fit_source(self, source: Source) -> Self:
        """Score the features of a source, batch by batch."""
        return self.fit_batches(
            source.batches, source.label_embeddings, source.label_index, classes=source.classes, groups=source.groups
        )


class LogitsEstimator(Estimator):
    """An estimator that compares class labels with the network's logits for the classes it was trained on."""

    needs = "labels"
    reads = "source logits"

    def fit(self, logits: Any, y: Any) -> Self:
        """Score logits (N, S), of S source classes, against class labels y (N,), integers or names.

        Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
        """
        self.score_ = finite(self.name, self._score(*checked_samples(logits, y, "logits", "S")))
        return self

    @abstractmethod
    def _score(self, logits: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        """Return the score of finite logits (N, S), float64, and class indices y (N,), each class present."""


class LabelEmbeddingEstimator(MomentEstimator):
    """An estimator that compares moments with label embeddings."""

    needs = "label embeddings"

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features against label embeddings.

        X: (N, D1) features; sums over a torch tensor on a CUDA device are computed there.
        Z: (N, D2, K), label embeddings per sample from K encoders; or (C, D2, K), per class, with y (N,), class indices
        from 0 to C - 1. A Z with two dimensions is K = 1.
        Raises EstimatorError for nan, infinity and shapes that do not match.
        """
        return self.fit_moments(*moments_of(X, Z, y))


def checked_samples(X: Any, y: Any, what: str = "features", width: str = "D1") -> tuple[np.ndarray, np.ndarray, int]:
    """Return features (N, D1) in float64, class indices (N,) and C; classes are numbered in sorted order.

    what, width: names of X and of its second dimension in messages.

    Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
    """
    X, y = as_numbers(what, X, "N", width), np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in "iubU":
        raise EstimatorError(
            f"class labels must be integers or names of shape (N,), not {y.dtype} of shape {y.shape}; "
            f"targets and label embeddings are for 'emms' and 'logme-f-label'"
        )
    if len(X) != len(y):
        raise EstimatorError(f"{len(X)} rows of {what}, but {len(y)} class labels; there must be one per row")
    classes, indices = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise EstimatorError(f"there must be two classes or more, not {len(classes)}")
    X = X.astype(np.float64)
    with np.errstate(over="ignore"):  # check_finite finds overflows
        check_finite(X, X.sum(axis=0), what)
    return X, indices, len(classes)


def checked_classes(estimator: Estimator, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts (C,) and feature sums (C, D1) of the classes that have samples.

    Raises EstimatorError if the moments have no class labels, or fewer than two classes.
    """
    if not isinstance(moments, ClassMoments):
        raise EstimatorError(
            f"estimator '{estimator.name}' needs class labels; if labels differ by sample, use 'emms' or "
            f"'logme-f-label'"
        )
    present = np.flatnonzero(moments.class_counts)
    if len(present) < 2:
        raise EstimatorError(f"there must be two classes or more with samples, not {len(present)}")
    return moments.class_counts[present], moments.class_sums[present]


def moments_of(X: Any, Z: Any, y: Any = None) -> tuple[Moments, np.ndarray | None]:
    """Return the moments of samples, and the label embeddings of classes if y is given.

    Arguments as in `LabelEmbeddingEstimator.fit`. Raises EstimatorError if they do not match.
    """
    X = X if on_gpu(X) else as_numbers("features", X, "N", "D1")
    Z = as_numbers("label embeddings", Z, "N" if y is None else "C", "D2", "K")
    if y is not None:
        return ClassMoments(X.shape[1], len(Z)).update(X, y), Z
    return TargetMoments(X.shape[1], *Z.shape[1:]).update(X, Z), None


def check_labels_vary(moments: Moments, label_embeddings: np.ndarray | None) -> None:
    """Raise EstimatorError if the label embeddings of an encoder hardly vary over the samples."""
    variances = moments.label_variances(label_embeddings)
    for k in np.flatnonzero(~(variances > LEAST_VARIANCE)):
        raise EstimatorError(
            f"the label embeddings of encoder number {k + 1} of {len(variances)} hardly vary over the samples, or are "
            f"too small or too large for float64; leave the encoder out, or scale its embeddings"
        )


def finite(name: str, score: float) -> float:
    """Return a score. Raises EstimatorError if it is not finite."""
    if not np.isfinite(score):
        raise EstimatorError(
            f"the score of estimator '{name}' is {score}; the features may be constant, or too small or too large for "
            f"float64"
        )
    return float(score)


def warn_if_interpolating(moments: Moments) -> None:
    """Warn if there are so few samples that any features explain any labels."""
    if moments.count <= moments.n_features + 1:
        warnings.warn(
            f"{moments.count} samples with {moments.n_features} features each: any network of this width explains "
            f"the labels completely, so the score has no meaning; use more than {moments.n_features + 1} samples, "
            f"or reduce the features",
            UnreliableScoreWarning,
            stacklevel=3,
        )
