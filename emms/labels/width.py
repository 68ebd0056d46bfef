"""Label embeddings of different widths reduced to a common width, so that they can be mixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from emms.errors import LabelEncoderError

ALIKE = 1e-5
"""By this part of the numbers in it, the embedding of one text that is encoded twice may differ."""
_TIED = 1e-7
"""Standard deviations that differ by less than this part of the largest are equal: embeddings are float32."""
_EQUAL = 1e-11
"""A variance that differs from the mean variance by less than this part of it is equal to it."""
_FIRST_OF_LARGEST = 1 - 1e-6
"""The first number that is at least this part of the largest counts as the largest, so that rounding does not choose
among equal ones."""
_BLOCK_ROWS = 8_192
"""Texts whose embeddings are copied to float64 at a time: 50 MB at 768 columns."""


class _Principal(NamedTuple):
    """Principal components of one encoder's embeddings: mean (width,), axes (rank, width), variances (rank,)."""

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray


def common_width(embeddings: list[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the embeddings of U texts by K encoders as one array, (U, D2, K).

    embeddings: (U, width of the encoder), one array per encoder. counts: (U,), how many samples have each text. The
    paper (Meng et al., arXiv 2308.06262) mixes sum_k t_k Z_k and picks encoders of equal width for it (BERT, GPT-2 and
    CLIP with 1,024 or 768 columns each); where widths are equal, nothing is changed here. Otherwise D2 is the smallest
    width, or less where the texts of some encoder vary in fewer directions (U texts vary in at most U - 1), and every
    wider encoder is reduced to D2 principal components. So no encoder keeps more directions than another, and none has
    a column of zeros: after standardisation, the mixture would prefer the encoder with fewer non-zero columns.

    The components are those of the samples, not of the texts: each text has as much weight as it has samples, as if
    the embedding of every sample were a row of its own. That is the matrix that the regression explains and whose
    columns are standardised, and its components are uncorrelated there. A text without samples has no weight, but is
    projected like the others. The sign of a component is such that its largest loading is positive.

    The components are then rotated so that all columns have the same variance. Standardising such columns scales them
    all alike, which preserves what the encoder says about which labels are near. Standardising the components
    themselves would turn every encoder that has as many of them as there are labels into the same thing: indicators of
    the labels, with no meaning left.

    The same arguments give the same result, up to rounding, on every CPU: signs, and the axes of components that have
    the same variance, are chosen by the order of the columns, not by rounding.

    Raises LabelEncoderError when widths differ and an encoder gives all texts that have samples the same embedding.
    """
    widths = [encoded.shape[1] for encoded in embeddings]
    if len(set(widths)) == 1:
        return np.stack(embeddings, axis=2)
    weights = counts / counts.sum()
    principal = [_principal(encoded, weights) for encoded in embeddings]
    width = min(*widths, *(len(components.axes) for components in principal))
    if width == 0:
        same = [k for k, components in enumerate(principal) if len(components.axes) == 0]
        raise LabelEncoderError(
            f"label encoder number {same[0] + 1} of {len(embeddings)} gives all labels the same embedding; "
            f"leave it out or use another"
        )
    common = np.empty((len(counts), width, len(embeddings)), np.result_type(*embeddings))
    for k, (encoded, components) in enumerate(zip(embeddings, principal, strict=True)):
        if encoded.shape[1] == width:
            common[:, :, k] = encoded
            continue
        projection = components.axes[:width].T @ _equalise(components.variances[:width])
        for rows in _blocks(len(encoded)):
            common[rows, :, k] = (encoded[rows] - components.mean) @ projection
    return common


def _principal(encoded: np.ndarray, weights: np.ndarray) -> _Principal:
    """Return the components along which embeddings (U, width) of these weights (U,) vary, largest variance first."""
    mean = np.zeros(encoded.shape[1])
    for rows in _blocks(len(encoded)):
        mean += weights[rows] @ encoded[rows]
    triangle = np.empty((0, encoded.shape[1]))  # R of the QR decomposition of all rows so far: it has their covariance
    for rows in _blocks(len(encoded)):
        deviations = np.sqrt(weights[rows])[:, None] * (encoded[rows] - mean)
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, deviations]), mode="r"))
    _, std, axes = svd(triangle, full_matrices=False)
    noise = ALIKE * np.sqrt(encoded.shape[1]) * max(encoded.max(), -encoded.min())
    axes, std = axes[std > noise], std[std > noise]
    ends = np.flatnonzero(np.diff(std) < -_TIED * std.max(initial=0)) + 1
    return _Principal(mean, np.vstack([_basis(tied) for tied in np.split(axes, ends)]), std**2)


def _basis(axes: np.ndarray) -> np.ndarray:
    """Return orthonormal axes (g, width) of the space that these span, which depend on that space alone.

    Each is the projection of a coordinate axis on the space, less those before it: that with the longest projection.
    """
    projections, chosen = axes.T.copy(), []
    for _ in axes:
        lengths = np.sqrt((projections**2).sum(axis=1))
        longest = int(np.argmax(lengths >= _FIRST_OF_LARGEST * lengths.max()))
        chosen.append(projections[longest] / lengths[longest])
        projections -= np.outer(projections @ chosen[-1], chosen[-1])
    return np.array(chosen).reshape(len(axes), len(axes)) @ axes


def _equalise(variances: np.ndarray) -> np.ndarray:
    """Return a rotation (D, D) after which uncorrelated columns of these variances (D,) have equal ones, in O(D^2).

    Each step is a Givens rotation of a column below the mean variance with one above it, such that the one nearer to
    the mean variance gets it and takes part in no further step (that D - 1 steps do is the Schur-Horn theorem). So
    columns that are still to be rotated stay uncorrelated, and only their variances need to be known.
    """
    mean = variances.mean()
    excess, slack = variances - mean, _EQUAL * mean
    below, above = np.flatnonzero(excess < -slack).tolist(), np.flatnonzero(excess > slack)[::-1].tolist()
    columns = np.eye(len(variances))  # a row each, so that they lie in one piece
    while below and above:
        low, high = below[-1], above[-1]
        lacks, has = -excess[low], excess[high]
        sine, cosine = np.sqrt(np.sort([lacks, has]) / (lacks + has))
        columns[low], columns[high] = (
            cosine * columns[low] + sine * columns[high],
            cosine * columns[high] - sine * columns[low],
        )
        excess[low] = excess[high] = has - lacks
        if has - lacks <= slack:
            above.pop()
        if has - lacks >= -slack:
            below.pop()
    return columns.T


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK_ROWS) for start in range(0, n_rows, _BLOCK_ROWS))
