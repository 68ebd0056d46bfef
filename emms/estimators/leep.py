"""LEEP: how well the source classes predicted by a network predict the labels, without training."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import softmax

from emms.estimators.base import LogitsEstimator
from emms.estimators.samples import class_sums, row_blocks

_ROUNDING = 1e-13
"""A mean log-likelihood closer to 0 than this is 0, so that networks that predict all labels tie."""


def leep(probabilities: np.ndarray, y: np.ndarray, n_classes: int) -> float:
    """Return the mean log-likelihood of class indices y (N,) given probabilities (N, S) of S source classes.

    With P(c, z) the mean over the samples of [y_n = c] p(z | x_n), it is mean_n log sum_z P(y_n | z) p(z | x_n).
    Rows of probabilities sum to 1. Source classes with probability zero for all samples are left out.
    """
    joint = class_sums(probabilities, y, n_classes)
    source = joint.sum(axis=0)
    conditional = joint / np.where(source > 0, source, 1)
    total = 0.0
    for rows in row_blocks(*probabilities.shape):
        # Never zero: a sample's own share of P(y_n | z) is positive where p(z | x_n) is greatest.
        total += np.log(np.einsum("ns,ns->n", conditional[y[rows]], probabilities[rows])).sum()
    mean = float(total / len(y))
    return mean if mean < -_ROUNDING else 0.0


class LEEP(LogitsEstimator):
    """Log expected empirical prediction: mean_n log sum_z P(y_n | z) p(z | x_n), at most 0.

    p(z | x) is the softmax of the logits (N, S) over the S classes z that the network was trained on; P(y | z) is the
    empirical conditional probability of the labels y (N,) given z, from P(y, z) = mean_n [y_n = y] p(z | x_n).

    Nguyen, Hassner, Seeger, Archambeau: LEEP: A New Measure to Evaluate Transferability of Learned Representations,
    ICML 2020.
    """

    name: ClassVar[str] = "leep"
    summary: ClassVar[str] = "likelihood of the labels given the source classes that the network predicts"
    paper: ClassVar[str] = "Nguyen et al., ICML 2020, arXiv 2002.12462"
    cost: ClassVar[str] = "4 N S"

    def _score(self, logits: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        with np.errstate(over="ignore"):  # a logit 1e308 below the largest has probability zero
            return leep(softmax(logits, axis=1), y, n_classes)
