"""ETran: how well discriminant analysis separates the classes, and how familiar the images are to the network."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import logsumexp, softmax

from emms.errors import EstimatorError
from emms.estimators.base import SampleEstimator
from emms.estimators.samples import bounded, centred, class_sums
from emms.estimators.settings import checked_positive

_LEAST_SHRINKAGE = 1e-10


class ETran(SampleEstimator):
    """0.85 times a classification score and 0.15 times an energy score, from -0.15 to 1: larger is better.

    From features X (N, D1) and labels y (N,):
    - `classification_` = mean_n p(y_n | x_n), with p that of linear discriminant analysis: the softmax over classes c
      of x' S^-1 m_c - m_c' S^-1 m_c / 2 + log(N_c / N). S is the within-class covariance W, shrunk:
      (1 - a) W + a tr(W) / D1 I with a = exp(-5 times the largest eigenvalue of W), at least 1e-10.
    - `energy_` = mean of log sum_d exp(x_nd), minus the free energy, over the share `lowest` of the samples where it
      is lowest: the less the samples are like those the network was trained on, the lower it is.
    The authors scale each score from 0 to 1 over all networks compared and add them up with these weights. One network
    alone has no such scale, so here energy enters as e / (1 + |e|), with e = `energy_` - log D1, which does not grow
    with the mere number of features. To combine them as the authors do, take the two scores of each network.

    lowest: share of the samples; at least one is taken. The authors' 0.5 % in their release.
    Not scale-free: energy and shrinkage depend on the scale of X. The release multiplies eigenvectors that are
    orthonormal rather than S-orthonormal, which makes its S the identity; this is the paper's formula.

    Gholami, Akbari, Wang, Kamranian, Zhang: ETran: Energy-Based Transferability Estimation, ICCV 2023.
    """

    name: ClassVar[str] = "etran"
    summary: ClassVar[str] = "probability of the labels by discriminant analysis, and the features' free energy"
    paper: ClassVar[str] = "Gholami et al., ICCV 2023, arXiv 2308.02027"
    cost: ClassVar[str] = "2 N D1^2 + 9 D1^3 + 2 N C D1"

    classification_: float
    """Mean probability of the right class, from 0 to 1."""
    energy_: float
    """Mean of the lowest log sum exp of the features."""

    def __init__(self, lowest: float = 0.005) -> None:
        self.lowest = checked_positive(self.name, "lowest", lowest, most=1)

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        self.classification_ = _classification(X, y, n_classes)
        energies = np.sort(logsumexp(X, axis=1))
        self.energy_ = float(energies[: max(1, int(self.lowest * len(X)))].mean())
        energy = self.energy_ - np.log(X.shape[1])
        return float(0.85 * self.classification_ + 0.15 * energy / (1 + abs(energy)))


def _classification(X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
    """Return the mean probability of the right class by discriminant analysis."""
    largest = float(np.abs(X).max())
    X = centred(bounded(X))
    counts = np.bincount(y, minlength=n_classes)
    means = class_sums(X, y, n_classes) / counts[:, None]
    within = X - means[y]
    values, vectors = np.linalg.eigh(within.T @ within / len(X))
    # All is relative to the largest of the features, save for the shrinkage, which depends on their scale.
    eigenvalue = max(float(values[-1]), 0.0) * largest * largest
    shrinkage = max(np.exp(-5 * eigenvalue), _LEAST_SHRINKAGE)
    average = max(values.mean(), np.finfo(float).eps * (means * means).sum())
    if average == 0:
        raise EstimatorError("all features are constant, so no class can be told from another; leave the network out")
    values = (1 - shrinkage) * np.maximum(values, 0) + shrinkage * average
    # In coordinates where S is the identity.
    whitening = vectors / np.sqrt(values)
    centres = means @ whitening
    logits = (X @ whitening) @ centres.T - (centres * centres).sum(axis=1) / 2 + np.log(counts / len(X))
    return float(softmax(logits, axis=1)[np.arange(len(y)), y].mean())
