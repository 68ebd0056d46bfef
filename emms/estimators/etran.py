"""ETran: class separation by discriminant analysis, and energy of the features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from emms.estimators.base import SampleEstimator
from emms.estimators.lda import discriminant
from emms.estimators.samples import in_row_space, varying
from emms.estimators.settings import Share


class ETran(SampleEstimator):
    """0.85 times a classification score plus 0.15 times an energy score, from -0.15 to 1: larger is better.

    From features X (N, D1) and labels y (N,):
    - `classification_` = mean_n p(y_n | x_n), with p from linear discriminant analysis, the estimator `LDA`.
    - `energy_` = mean of log sum_d exp(x_nd), minus the free energy, over the share `lowest` of the samples where it
      is lowest: it is lower for samples unlike those the network was trained on.
    The authors scale each score to the range 0 to 1 over all networks and add them with these weights. This is not
    possible for a single network, so here the energy score is e / (1 + |e|), with e = `energy_` - log D1, which does
    not grow with the number of features. To combine them as the authors do, use the two scores of each network.

    lowest: share of the samples, at least one; 0.5 % in the authors' release.
    Not scale-free: energy and shrinkage depend on the scale of X. The release multiplies eigenvectors that are
    orthonormal rather than S-orthonormal, so that its S is the identity; this is the paper's formula.

    Gholami, Akbari, Wang, Kamranian, Zhang: ETran: Energy-Based Transferability Estimation, ICCV 2023.
    """

    name: ClassVar[str] = "etran"
    rewards_width = True
    summary: ClassVar[str] = "probability of the labels by discriminant analysis, and free energy of the features"
    paper: ClassVar[str] = "Gholami et al., ICCV 2023, arXiv 2308.02027"
    cost: ClassVar[str] = "N D1^2 + D1^3 / 3 + 2 N C D1"

    classification_: float
    """Mean probability of the right class, from 0 to 1."""
    energy_: float
    """Mean of the lowest log sum exp of the features."""

    def __init__(self, lowest: Share = 0.005) -> None:
        self.lowest = lowest

    def _score(self, X: np.ndarray, y: np.ndarray, n_classes: int) -> float:
        posteriors = discriminant(in_row_space(varying(X)), y, n_classes, X.shape[1], None).posteriors
        self.classification_ = float(posteriors[np.arange(len(y)), y].mean())
        energies = np.sort(logsumexp(X, axis=1))
        self.energy_ = float(energies[: max(1, int(self.lowest * len(X)))].mean())
        energy = self.energy_ - np.log(X.shape[1])
        return float(0.85 * self.classification_ + 0.15 * energy / (1 + abs(energy)))
