"""Linear probe: the slow baseline with which other estimators are compared."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from emms.errors import EstimatorError
from emms.estimators.base import HeldOutEstimator
from emms.estimators.samples import bounded, canonical_order, centred
from emms.estimators.settings import Count, Folds, Positive, Seed
from emms.estimators.threads import one_pool
from emms.moments.folds import assign_folds


class LinearProbe(HeldOutEstimator):
    """Cross-validated accuracy of a logistic regression on standardised features, from 0 to 1.

    For each of several stratified folds, a multinomial logistic regression with an L2 penalty is fitted to the features
    X (N, D1) of the other folds, standardised by their means and deviations; the score is the share of all samples
    whose label in y (N,) is predicted when their fold is held out. A class that the other folds do not have cannot be
    predicted, so a class of one sample always counts as wrong. Samples of the same group, such as questions about the
    same image, are held out together.

    folds: number of folds. C: inverse strength of the penalty, as in scikit-learn. seed: of the folds. For one seed,
    the score does not depend on the order of the samples, the names of the classes, or the scale of X.
    max_iter: L-BFGS stops after this many iterations, without a warning if it has not converged, since further
    improvement is far below the noise of the score.

    This is the usual protocol; Kornblith, Shlens, Le: Do Better ImageNet Models Transfer Better? CVPR 2019.
    """

    name: ClassVar[str] = "linear-probe"
    summary: ClassVar[str] = "cross-validated accuracy of a logistic regression"
    paper: ClassVar[str] = "Kornblith et al., CVPR 2019, arXiv 1805.08974"
    cost: ClassVar[str] = "4 folds max_iter N C D1"
    version = 2

    def __init__(self, folds: Folds = 5, C: Positive = 1.0, seed: Seed = 0, max_iter: Count = 200) -> None:
        self.folds = folds
        self.C = C
        self.seed = seed
        self.max_iter = max_iter

    def _score_apart(self, X: np.ndarray, y: np.ndarray, n_classes: int, groups: np.ndarray | None) -> float:
        if len(X) < self.folds:
            raise EstimatorError(
                f"{len(X)} samples cannot be split into {self.folds} folds; use more samples, or fewer 'folds' of "
                f"estimator '{self.name}'"
            )
        X = centred(bounded(X))
        order = canonical_order(X)
        X, y = X[order], _by_appearance(y[order])
        fold = assign_folds(y, self.folds, self.seed, None if groups is None else groups[order])
        with one_pool(X.size * n_classes):
            right = sum(self._right(X[fold != f], y[fold != f], X[fold == f], y[fold == f]) for f in range(self.folds))
        return right / len(X)

    def _right(self, X: np.ndarray, y: np.ndarray, X_held_out: np.ndarray, y_held_out: np.ndarray) -> int:
        """Return the number of held-out samples that a classifier trained on X and y classifies correctly."""
        if (y == y[0]).all():  # LogisticRegression needs two classes
            return int((y_held_out == y[0]).sum())
        scaler = StandardScaler()
        classifier = LogisticRegression(C=self.C, max_iter=self.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(scaler.fit_transform(X), y)
        return int((classifier.predict(scaler.transform(X_held_out)) == y_held_out).sum())


def _by_appearance(y: np.ndarray) -> np.ndarray:
    """Return class indices renumbered in order of appearance, so that the names of classes do not matter."""
    _, first, indices = np.unique(y, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[indices]
