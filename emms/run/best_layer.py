"""The score of a candidate at the best of its layers (`layer: best`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emms.errors import EstimatorError
from emms.estimators import Estimator


@dataclass(frozen=True)
class Chosen:
    """A score, the score of each fold, and the layer that was chosen for each fold."""

    score: float
    folds: list[float]
    layers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, scorer: Estimator) -> Chosen:
        """Return the score of a fitted estimator."""
        folds = [] if scorer.fold_scores_ is None else np.asarray(scorer.fold_scores_, dtype=float).tolist()
        return cls(float(scorer.score_), folds)


def best_per_fold(layers: Sequence[str], scorers: Sequence[Estimator]) -> Chosen:
    """Return the mean over folds of the score of the layer that is best on the other folds.

    layers: L names. scorers: L estimators, fitted to the features of each layer on the same folds.

    The layer is chosen without the samples that it is then scored on, since the largest of L scores on the same samples
    would be too high by chance. The first of equally good layers is chosen.
    Raises EstimatorError if the estimator has no scores of folds.
    """
    if any(scorer.fold_scores_ is None for scorer in scorers):
        raise EstimatorError(
            f"`layer: best` is chosen by scores of held-out samples, which estimator '{scorers[0].name}' does not "
            f"have; use emms-decoded or emms-cv, or name a layer"
        )
    scores = np.array([scorer.fold_scores_ for scorer in scorers], dtype=float)  # (L, folds)
    on_others = scores.sum(axis=1, keepdims=True) - scores
    best = on_others.argmax(axis=0)
    folds = scores[best, np.arange(scores.shape[1])]
    return Chosen(float(folds.mean()), folds.tolist(), [layers[layer] for layer in best])
