"""Reduce label embeddings of different widths to a common width, so that they can be mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from emms.errors import LabelEncoderError
from emms.moments.rows import RowFile, Rows, blocks

ALIKE = 1e-5
"""Relative difference below which two embeddings are equal, since encoding a text twice may differ by as much."""
_TIED = 1e-7
"""Standard deviations that differ by less than this fraction of the largest are equal: embeddings are float32."""
_EQUAL = 1e-11
"""A variance that differs from the mean variance by less than this fraction of it is equal to it."""
_FIRST_OF_LARGEST = 1 - 1e-6
"""The first number that is at least this fraction of the largest counts as the largest, so that the choice among equal
numbers does not depend on rounding."""


class _Principal(NamedTuple):
    """Principal components of one encoder's embeddings: mean (width,), axes (rank, width), variances (rank,)."""

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray


class _Projection(NamedTuple):
    """A linear map of one encoder's embeddings: they minus mean (width,), times matrix (width, D2)."""

    mean: np.ndarray
    matrix: np.ndarray


def common_width(embeddings: Sequence[Rows], counts: np.ndarray) -> np.ndarray:
    """Return the embeddings of U texts by K encoders as one array, (U, D2, K).

    embeddings: (U, width of the encoder), one array per encoder. counts: (U,), number of samples per text. The
    paper (Meng et al., arXiv 2308.06262) mixes sum_k t_k Z_k and chooses encoders of equal width for it (BERT, GPT-2
    and CLIP with 1,024 or 768 columns each); embeddings of equal width are not changed here. Otherwise D2 is the
    smallest width, or less if the texts of some encoder vary in fewer directions (U texts vary in at most U - 1), and
    every wider encoder is reduced to D2 principal components. So no encoder keeps more directions than another, and
    none has a column of zeros: after standardisation, the mixture would prefer the encoder with fewer non-zero columns.

    The principal components are those of the samples, not of the texts: each text is weighted by its number of samples.
    This is the matrix that the regression explains and whose columns are standardised, and its components are
    uncorrelated. A text without samples has no weight, but is projected like the others. The sign of a component is
    such that its largest loading is positive.

    The components are then rotated so that all columns have the same variance. Standardising such columns multiplies
    them all by the same number, which preserves the distances between labels. Standardising the components themselves
    would turn all encoders with as many components as labels into the same matrix: indicators of the labels.

    The result is the same, up to rounding, on every CPU: signs, and the axes of components with equal variance, are
    chosen by the order of the columns.

    Raises LabelEncoderError if widths differ and an encoder returns the same embedding for all texts that have samples.
    """
    width, projections = _projections(embeddings, counts)
    common = np.empty((len(counts), width, len(embeddings)), np.result_type(*(e.dtype for e in embeddings)))
    for rows in blocks(len(counts)):
        _fill(common[rows], embeddings, projections, rows)
    return common


def common_width_in_file(embeddings: Sequence[Rows], counts: np.ndarray) -> RowFile:
    """Return the same as `common_width` in a temporary file, (U, D2, K), with bounded memory.

    Raises StoreError if the temporary folder is full.
    """
    width, projections = _projections(embeddings, counts)
    common = RowFile(width, len(embeddings))
    for rows in blocks(len(counts)):
        block = np.empty((rows.stop - rows.start, *common.shape[1:]), common.dtype)
        _fill(block, embeddings, projections, rows)
        common.append(block)
    return common


def _projections(embeddings: Sequence[Rows], counts: np.ndarray) -> tuple[int, list[_Projection | None]]:
    """Return D2, and how each encoder's embeddings are reduced to it; None if they stay as they are."""
    widths = [encoded.shape[1] for encoded in embeddings]
    if len(set(widths)) == 1:
        return widths[0], [None] * len(widths)
    weights = counts / counts.sum()
    principal = [_principal(encoded, weights) for encoded in embeddings]
    width = min(*widths, *(len(components.axes) for components in principal))
    if width == 0:
        same = [k for k, components in enumerate(principal) if len(components.axes) == 0]
        raise LabelEncoderError(
            f"label encoder number {same[0] + 1} of {len(embeddings)} returns the same embedding for all labels; "
            f"leave it out or use another"
        )
    return width, [
        None if own == width else _Projection(c.mean, c.axes[:width].T @ _equalise(c.variances[:width]))
        for own, c in zip(widths, principal, strict=True)
    ]


def _fill(
    block: np.ndarray, embeddings: Sequence[Rows], projections: Sequence[_Projection | None], rows: slice
) -> None:
    """Write these rows of all encoders, (B, D2, K), to `block`."""
    for k, (encoded, projection) in enumerate(zip(embeddings, projections, strict=True)):
        block[:, :, k] = encoded[rows] if projection is None else (encoded[rows] - projection.mean) @ projection.matrix


def _principal(encoded: Rows, weights: np.ndarray) -> _Principal:
    """Return the principal components of embeddings (U, width) with weights (U,), largest variance first."""
    mean, largest = np.zeros(encoded.shape[1]), 0.0
    for rows in blocks(len(encoded)):
        block = encoded[rows]
        mean += weights[rows] @ block
        largest = max(largest, float(block.max()), -float(block.min()))
    triangle = np.empty((0, encoded.shape[1]))  # R of the QR decomposition of all rows so far, with the same covariance
    for rows in blocks(len(encoded)):
        deviations = np.sqrt(weights[rows])[:, None] * (encoded[rows] - mean)
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, deviations]), mode="r"))
    _, std, axes = svd(triangle, full_matrices=False)
    noise = ALIKE * np.sqrt(encoded.shape[1]) * largest
    axes, std = axes[std > noise], std[std > noise]
    ends = np.flatnonzero(np.diff(std) < -_TIED * std.max(initial=0)) + 1
    return _Principal(mean, np.vstack([_basis(tied) for tied in np.split(axes, ends)]), std**2)


def _basis(axes: np.ndarray) -> np.ndarray:
    """Return orthonormal axes (g, width) of the span of these axes, which depend only on the span.

    Each is the longest projection of a coordinate axis on the part of the span that is orthogonal to the previous axes.
    """
    projections, chosen = axes.T.copy(), []
    for _ in axes:
        lengths = np.sqrt((projections**2).sum(axis=1))
        longest = int(np.argmax(lengths >= _FIRST_OF_LARGEST * lengths.max()))
        chosen.append(projections[longest] / lengths[longest])
        projections -= np.outer(projections @ chosen[-1], chosen[-1])
    return np.array(chosen).reshape(len(axes), len(axes)) @ axes


def _equalise(variances: np.ndarray) -> np.ndarray:
    """Return a rotation (D, D) that gives uncorrelated columns with these variances (D,) equal variances, in O(D^2).

    Each step is a Givens rotation of a column below the mean variance with one above it. It gives the one nearer to the
    mean exactly the mean variance, after which that column is finished (D - 1 steps suffice, by the Schur-Horn
    theorem). The other columns stay uncorrelated, so that only their variances are needed.
    """
    mean = variances.mean()
    excess, slack = variances - mean, _EQUAL * mean
    below, above = np.flatnonzero(excess < -slack).tolist(), np.flatnonzero(excess > slack)[::-1].tolist()
    columns = np.eye(len(variances))  # stored as rows, which are contiguous
    while below and above:
        low, high = below[-1], above[-1]
        deficit, surplus = -excess[low], excess[high]
        sine, cosine = np.sqrt(np.sort([deficit, surplus]) / (deficit + surplus))
        columns[low], columns[high] = (
            cosine * columns[low] + sine * columns[high],
            cosine * columns[high] - sine * columns[low],
        )
        excess[low] = excess[high] = surplus - deficit
        if surplus - deficit <= slack:
            above.pop()
        if surplus - deficit >= -slack:
            below.pop()
    return columns.T
