"""Additive statistics of features and labels, from which EMMS, LogME and similar estimators are computed.

Moments add up over batches, shards and machines, so features are read once and memory does not grow with their number.
`ClassMoments` are for samples that share class labels, `TargetMoments` for labels that differ by sample.
"""

from emms.moments.base import LabelProducts, Moments
from emms.moments.classes import ClassMoments
from emms.moments.targets import TargetMoments

__all__ = ["ClassMoments", "LabelProducts", "Moments", "TargetMoments"]
