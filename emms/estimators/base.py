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
"""A standardised column has a variance of 1, or less where it is so small that what is added to its deviation shows."""


class UnreliableScoreWarning(UserWarning):
    """A score was computed, but says little about the network; the message says why and what helps."""


class Estimator(BaseEstimator, ABC):
    """Scores the features of one network on one dataset; larger is always better.

    The constructor takes only settings, and stores each in an attribute of its own name. They are checked and converted
    by their annotations (see `emms.estimators.settings`), and EstimatorError is raised for those that do not fit.
    `fit` returns self; results end in an underscore. What an estimator reads is said by the subclass to derive from:
    moments of the features (`MomentEstimator`), the features themselves (`SampleEstimator`, `BatchEstimator`), or the
    logits of the network's own classifier (`LogitsEstimator`).
    """

    name: ClassVar[str]
    """What it is called in a spec."""
    summary: ClassVar[str]
    """One line: what it measures."""
    needs: ClassVar[Literal["labels", "label embeddings"]]
    """What it needs beside the features."""
    reads: ClassVar[Literal["moments", "samples", "source logits"]]
    """What of the network it reads."""
    paper: ClassVar[str]
    """Authors, venue and year, and where to find it."""
    version: ClassVar[int] = 1
    """To be raised when the same features get another score, so that scores in a store are not taken for new ones."""
    rewards_width: bool = False
    """Wide features score high by width alone, trained or not: it is fitted to the samples that it scores, or sums over
    features."""
    proportion: ClassVar[bool] = False
    """The score is the part of the samples for which something holds, such as an accuracy."""
    cost: ClassVar[str]
    """Work beyond reading the features once, in N, D1, C, D2, K."""

    score_: float
    """The score: larger is better."""
    fold_scores_: np.ndarray | None = None
    """The score of each fold alone, if it is cross-validated on folds that labels and a seed determine: all candidates
    then share them, and a run says how sure the ranking is."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = checking(cls.__init__)  # type: ignore[method-assign]

    @checking
    def __init__(self) -> None: ...

    def set_params(self, **settings: Any) -> Self:
        """Change settings. Raises EstimatorError as the constructor does; then nothing has changed."""
        changed = type(self)(**{**self.get_params(), **settings})
        self.__dict__.update(changed.__dict__)
        return self

    @abstractmethod
    def fit(self, X: Any, labels: Any, /) -> Self:
        """Score features X (N, D1) against labels: class indices (N,) or label embeddings, as `needs` says.

        Raises EstimatorError when they do not determine a score.
        """

    def fit_source(self, source: Source) -> Self:
        """Score the features of a source, reading what this kind of estimator reads.

        Raises EstimatorError when they do not determine a score, or when it needs classes and there are none.
        """
        if self.needs == "labels":
            return self.fit(source.features(), source.class_index(self.name))
        fit: Any = self.fit
        return fit(source.features(), source.label_embeddings, source.label_index)


class MomentEstimator(Estimator):
    """An estimator that knows the features through their moments alone, so that it need not hold them."""

    reads = "moments"
    folds: int = 1
    """How many folds of the samples it must have the moments of; with more than one, `fit_folds` is called."""

    @abstractmethod
    def fit_moments(self, moments: Moments, label_embeddings: np.ndarray | None = None) -> Self:
        """Score from the moments of features and labels.

        label_embeddings: (C, D2, K), one a class; None if the estimator needs none or the moments hold them.
        Raises EstimatorError when they do not determine a score.
        """

    def fit_folds(self, folds: Sequence[Moments], label_embeddings: np.ndarray | None = None) -> Self:
        """Score from the moments of each of several folds, cross-validated; otherwise as `fit_moments`."""
        raise NotImplementedError(f"estimator '{self.name}' is not cross-validated")

    def fit_source(self, source: Source) -> Self:
        """Score from the moments of a source's features."""
        if self.needs == "labels":
            source.class_index(self.name)
        moments = source.moments(self.folds)
        # Moments of labels that samples do not share hold the label embeddings already.
        embeddings = source.label_embeddings if source.classes and self.needs == "label embeddings" else None
        return (
            self.fit_folds(moments, embeddings)
            if self.folds > 1
            else self.fit_moments(reduce(add, moments), embeddings)
        )


class ClassMomentEstimator(MomentEstimator):
    """An estimator of class labels from moments."""

    needs = "labels"

    def fit(self, X: Any, y: Any) -> Self:
        """Score features X (N, D1) against class labels y (N,), integers or names.

        Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
        """
        X, y, n_classes = checked_samples(X, y)
        return self.fit_moments(ClassMoments(X.shape[1], n_classes).update(X, y))


class SampleEstimator(Estimator):
    """An estimator of class labels that holds all features in memory."""

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
    """An estimator of how well features explain label embeddings that reads the features in batches, more than once."""

    needs = "label embeddings"
    reads = "samples"

    @abstractmethod
    def fit_batches(self, batches: Iterable[np.ndarray], Z: Any, y: np.ndarray, /, *, classes: bool = True) -> Self:
        """Score features that come in batches (B, D1), in the order of the labels y (N,).

        batches: can be gone through more than once. Z: (U, D2, K), embeddings of the U different labels. classes:
        whether a label is a class, which many samples share.
        Raises EstimatorError when they do not determine a score.
        """

    def fit_source(self, source: Source) -> Self:
        """Score the features of a source, batch by batch."""
        return self.fit_batches(source.batches, source.label_embeddings, source.label_index, classes=source.classes)


class LogitsEstimator(Estimator):
    """An estimator of class labels that reads the logits which the network gives for the classes it was trained on."""

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
    """An estimator of how well features explain label embeddings."""

    needs = "label embeddings"

    def fit(self, X: Any, Z: Any, y: Any = None) -> Self:
        """Score features against label embeddings.

        X: (N, D1) features; a torch tensor on a CUDA device is summed up there.
        Z: (N, D2, K), label embeddings of each sample from K encoders; or (C, D2, K), those of each class, with y (N,),
        class indices from 0 to C - 1. A Z of two dimensions is K = 1.
        Raises EstimatorError for nan, infinity and shapes that do not match.
        """
        return self.fit_moments(*moments_of(X, Z, y))


def checked_samples(X: Any, y: Any, what: str = "features", width: str = "D1") -> tuple[np.ndarray, np.ndarray, int]:
    """Return features (N, D1) in float64, class indices (N,) and C; classes are numbered as their names sort.

    what, width: what X and its second dimension are called in errors.

    Raises EstimatorError for nan, wrong shapes, labels that are real numbers, and fewer than two classes.
    """
    X, y = as_numbers(what, X, "N", width), np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in "iubU":
        raise EstimatorError(
            f"class labels must be integers or names of shape (N,), not {y.dtype} of shape {y.shape}; "
            f"targets and label embeddings are for 'emms' and 'logme-f-label'"
        )
    if len(X) != len(y):
        raise EstimatorError(f"{len(X)} rows of {what}, but {len(y)} class labels; there must be one a row")
    classes, indices = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise EstimatorError(f"there must be two classes or more, not {len(classes)}")
    X = X.astype(np.float64)
    with np.errstate(over="ignore"):  # which is found out right here
        check_finite(X, X.sum(axis=0), what)
    return X, indices, len(classes)


def checked_classes(estimator: Estimator, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts (C,) and feature sums (C, D1) of the classes that have samples.

    Raises EstimatorError when the moments hold no class labels, or fewer than two classes.
    """
    if not isinstance(moments, ClassMoments):
        raise EstimatorError(
            f"estimator '{estimator.name}' needs class labels; where labels differ by sample use 'emms' or "
            f"'logme-f-label'"
        )
    present = np.flatnonzero(moments.class_counts)
    if len(present) < 2:
        raise EstimatorError(f"there must be two classes or more with samples, not {len(present)}")
    return moments.class_counts[present], moments.class_sums[present]


def moments_of(X: Any, Z: Any, y: Any = None) -> tuple[Moments, np.ndarray | None]:
    """Return the moments of samples, and the label embeddings that go with class labels.

    Arguments as in `LabelEmbeddingEstimator.fit`. Raises EstimatorError for what does not fit together.
    """
    X = X if on_gpu(X) else as_numbers("features", X, "N", "D1")
    Z = as_numbers("label embeddings", Z, "N" if y is None else "C", "D2", "K")
    if y is not None:
        return ClassMoments(X.shape[1], len(Z)).update(X, y), Z
    return TargetMoments(X.shape[1], *Z.shape[1:]).update(X, Z), None


def check_labels_vary(moments: Moments, label_embeddings: np.ndarray | None) -> None:
    """Raise EstimatorError when the labels of an encoder hardly vary over the samples: nothing explains those best."""
    variances = moments.label_variances(label_embeddings)
    for k in np.flatnonzero(~(variances > LEAST_VARIANCE)):
        raise EstimatorError(
            f"the label embeddings of encoder number {k + 1} of {len(variances)} hardly vary over the samples, or are "
            f"too small or too large for float64; leave the encoder out, or scale what it gives"
        )


def finite(name: str, score: float) -> float:
    """Return a score. Raises EstimatorError when it is none."""
    if not np.isfinite(score):
        raise EstimatorError(
            f"estimator '{name}' gives {score}; the features may be constant, or too small or too large for float64"
        )
    return float(score)


def warn_if_interpolating(moments: Moments) -> None:
    """Warn when there are so few samples that any features explain any labels."""
    if moments.count <= moments.n_features + 1:
        warnings.warn(
            f"{moments.count} samples with {moments.n_features} features each: any network of this width explains "
            f"the labels completely, so the score says nothing; use more than {moments.n_features + 1} samples, "
            f"or reduce the features",
            UnreliableScoreWarning,
            stacklevel=3,
        )
