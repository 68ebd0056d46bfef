"""Keys of moments and scores."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import FiniteFloat

from emms.store import Key, Meta


class MomentsMeta(Meta):
    """Metadata of moments."""

    model: str


class MomentsKey(Key):
    """Key of the moments of a candidate's features and the labels, per fold."""

    kind: ClassVar[str] = "moments"
    version: ClassVar[int] = 4
    meta: ClassVar[type[Meta]] = MomentsMeta

    features: tuple[str, ...]
    """Addresses of the features that are joined."""
    samples: str
    """Identity of the samples and their labels."""
    labels: tuple[str, ...]
    """Addresses of the label embeddings, if each sample has its own label."""
    folds: int
    seed: int | None
    """Seed of the folds, if there are several."""

    def file_names(self) -> tuple[str, ...]:
        """Return the names of the files, one per fold."""
        return tuple(self.file_name(fold) for fold in range(self.folds))

    @staticmethod
    def file_name(fold: int) -> str:
        """Return the name of the file of one fold."""
        return f"moments-{fold}.parquet"


class ScoreMeta(Meta):
    """A score, and the facts about the candidate that a ranking shows."""

    model: str
    estimator: str
    score: FiniteFloat
    folds: list[FiniteFloat]
    layers: list[str]
    """The layer that was chosen for each fold, if the best is chosen."""
    seconds: float
    dimension: int
    parameters: int
    throughput: float
    constant: bool


class ScoreKey(Key):
    """Key of a score."""

    kind: ClassVar[str] = "scores"
    version: ClassVar[int] = 4
    meta: ClassVar[type[Meta]] = ScoreMeta

    candidate: tuple[tuple[str, ...], ...]
    """Addresses of the candidate's features, whose dimension is stored with the score: those that are joined, for each
    layer of which the best is chosen."""
    features: tuple[tuple[str, ...], ...]
    """Addresses of the features that the estimator reads: the candidate's, or the logits of its classifier."""
    samples: str
    """Identity of the samples and their labels."""
    labels: tuple[str, ...]
    """Addresses of the label embeddings, if the estimator reads them."""
    estimator: str
    estimator_version: int
    settings: dict[str, Any]
    folds_seed: int | None
    """Seed of the folds whose moments the estimator reads, if there are several."""
