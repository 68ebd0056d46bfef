"""NCE: conditional entropy of the labels given the predicted source classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from emms.estimators.base import LogitsEstimator


class NCE(LogitsEstimator):
    """Negative conditional entropy of the labels given the predicted source classes, -H(Y | Z), at most 0.

    z_n is the source class with the largest of the logits (N, S), the first of several equal ones; with P the
    empirical distribution of labels y (N,) and z, the score is sum_yz P(y, z) log P(y | z).

    Tran, Nguyen, Hassner: Transferability and Hardness of Supervised Classification Tasks, ICCV 2019.
    """

    name: ClassVar[str] = "nce"
    summary: ClassVar[str] = "negative conditional entropy of the labels given the predicted source classes"
    paper: ClassVar[str] = "Tran et al., ICCV 2019, arXiv 1908.08142"
    cost: ClassVar[str] = "N S"

    def _score(self, logits: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        _, z = np.unique(logits.argmax(axis=1), return_inverse=True)
        pairs = np.bincount(z * n_classes + y, minlength=(z.max() + 1) * n_classes).reshape(-1, n_classes)
        conditional = pairs / pairs.sum(axis=1, keepdims=True)
        return float(xlogy(pairs, conditional).sum() / len(y))
