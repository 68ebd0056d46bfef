"""What the stages of a run hand on: references to what is in the store, small pydantic models that travel as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from emms.datasets.prepare import Prepared
from emms.models.features import FeaturesKey
from emms.spec import EncoderSpec, EstimatorSpec, ModelSpec


class Reference(BaseModel):
    """What a stage hands on."""

    model_config = ConfigDict(frozen=True)


class Resolved(Reference):
    """A network whose weights are at hand, and what determines its features."""

    model: ModelSpec
    key: FeaturesKey


class Extracted(Reference):
    """A network's features, or the reason why there are none."""

    model: ModelSpec
    key: FeaturesKey
    computed: bool = False
    dimension: int = 0
    parameters: int = 0
    images_per_second: float = 0.0
    failure: str | None = None


class Embedded(Reference):
    """An encoder's embeddings of the labels."""

    encoder: EncoderSpec
    key: dict[str, Any]
    computed: bool


class Accumulated(Reference):
    """The moments of a candidate's features, fold by fold; not in the store where the features are the smaller."""

    features: Extracted
    folds: int
    key: dict[str, Any]
    computed: bool


class Scoring(Reference):
    """A score to be computed: of whom, by what, from what."""

    model: ModelSpec
    estimator: EstimatorSpec
    given: Accumulated | Extracted


class Scored(Reference):
    """A candidate's score by one estimator, or the reason why there is none."""

    model: ModelSpec
    estimator: EstimatorSpec
    computed: bool = False
    score: float | None = None
    folds: list[float] = []
    """The score of each fold alone, where the estimator gives it."""
    seconds: float = 0.0
    failure: str | None = None


class Outcome(Reference):
    """What the stages of a run gave: features, the labels' embeddings, scores."""

    dataset: Prepared
    embedded: list[Embedded]
    extracted: list[Extracted]
    moments: list[Accumulated]
    scored: list[Scored]
    failed: dict[str, str]
    """Networks that failed on the way, with the reason."""
    seconds: dict[str, float]
    """Wall time of each stage."""
