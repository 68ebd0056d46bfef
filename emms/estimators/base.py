"""What every transferability estimator gives, in scikit-learn's manner."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from emms.moments import Moments


class Estimator(ABC):
    """Scores one network's features on one dataset; larger is better, always.

    The constructor takes settings only; `fit` and `fit_moments` return self; results end in an underscore.
    """

    summary: ClassVar[str]
    """One line: what it measures."""
    paper: ClassVar[str]
    needs: ClassVar[str]
    """`label embeddings` or `labels`: what it needs beside the features."""

    score_: float

    @abstractmethod
    def fit_moments(self, moments: Moments, label_embeddings: Any = None) -> Self:
        """Score from the additive statistics of the features.

        Raises EstimatorError when they do not determine a score.
        """
