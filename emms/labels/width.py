"""Label embeddings of different width brought to a common one, so that they can be mixed."""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from emms.errors import LabelEncoderError

ALIKE = 1e-5
"""By this part of the numbers in it, the embedding of one text that is encoded twice may differ."""


def common_width(embeddings: list[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the embeddings of U texts by K encoders as one array, (U, D2, K).

    `embeddings` holds (U, width of the encoder) for each encoder, `counts` (U,) how many samples have each text. The
    paper (Meng et al., arXiv 2308.06262) mixes sum_k t_k Z_k and picks encoders of equal width for it (BERT, GPT-2 and
    CLIP with 1,024 or 768 columns each); where widths are equal, nothing is changed here. Otherwise D2 is the smallest
    width, or less where the texts of some encoder vary in fewer directions (U texts vary in U - 1 at most), and every
    wider encoder is reduced to D2 principal components. So none keeps more directions than another, nor a column that
    is zero: standardised, such columns would have the mixture prefer the encoder with fewer live ones.

    The components are those of the samples, not of the texts: each text weighs as much as it has samples, exactly as
    if every sample's embedding stood in a row of its own. That is the matrix that the regression explains and whose
    columns are standardised, and its components are uncorrelated there. A text without a sample has no say, but is
    projected like the others. Each component's sign is such that its largest loading is positive.

    The components are then rotated so that all columns have the same variance. To standardise such columns is to scale
    them all alike, which keeps what the encoder says about which labels are near; to standardise the components
    themselves would make each encoder that has as many of them as there are labels into the same thing: the labels'
    indicators, with no meaning left.

    Raises LabelEncoderError when widths differ and an encoder gives all texts that have samples the same embedding.
    """
    widths = [encoded.shape[1] for encoded in embeddings]
    if len(set(widths)) == 1:
        return np.stack(embeddings, axis=2)
    weights = counts / counts.sum()
    components = [_components(encoded, weights) for encoded in embeddings]
    width = min(*widths, *(len(axes) for axes in components))
    if width == 0:
        same = [k for k, axes in enumerate(components) if len(axes) == 0]
        raise LabelEncoderError(
            f"label encoder number {same[0] + 1} of {len(embeddings)} gives all labels the same embedding; "
            f"leave it out or use another"
        )
    return np.stack(
        [
            encoded if encoded.shape[1] == width else _project(encoded, weights, axes[:width])
            for encoded, axes in zip(embeddings, components, strict=True)
        ],
        axis=2,
    )


def _components(encoded: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the principal axes along which the embeddings vary, (rank, width), the largest variance first."""
    deviations = np.sqrt(weights)[:, None] * (encoded.astype(np.float64) - weights @ encoded)
    _, singular, axes = svd(deviations, full_matrices=False)
    noise = ALIKE * np.sqrt(encoded.shape[1]) * np.abs(encoded).max()
    axes = axes[singular > noise]
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return axes * np.sign(largest)[:, None]


def _equalise(variances: np.ndarray) -> np.ndarray:
    """Return a rotation (D, D) after which uncorrelated columns of these variances have equal ones.

    Each step rotates two columns so that one of them has the mean variance (a Givens rotation; that D - 1 of them do is
    the Schur-Horn theorem).
    """
    covariance, rotation, mean = np.diag(variances), np.eye(len(variances)), variances.mean()
    left = list(range(len(variances)))
    while len(left) > 1:
        diagonal = covariance[left, left]
        i, j = left[int(diagonal.argmin())], left[int(diagonal.argmax())]
        if i == j:
            break
        low, high, both = covariance[i, i] - mean, covariance[j, j] - mean, covariance[i, j]
        tangent = (-both + np.sqrt(max(both**2 - high * low, 0.0))) / high if high > 0 else 0.0
        cosine = 1 / np.hypot(1, tangent)
        givens = np.eye(len(variances))
        givens[[i, j, i, j], [i, j, j, i]] = cosine, cosine, -tangent * cosine, tangent * cosine
        covariance, rotation = givens.T @ covariance @ givens, rotation @ givens
        left.remove(i)
    return rotation


def _project(encoded: np.ndarray, weights: np.ndarray, axes: np.ndarray) -> np.ndarray:
    components = (encoded - weights @ encoded) @ axes.T
    return (components @ _equalise(weights @ components**2)).astype(encoded.dtype)
