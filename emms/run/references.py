"""What the stages of a run hand on."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from emms.datasets.samples import Samples, Skipped
from emms.labels.embed import LabelsKey
from emms.models.features import SHARD_ROWS, FeaturesKey
from emms.run.keys import MomentsKey, ScoreKey
from emms.run.stage import Reference
from emms.spec import EncoderSpec, EstimatorSpec, ModelSpec
from emms.store import Key, Store


class Listed(Reference):
    """The samples of the dataset."""

    samples: Samples


class Embedded(Reference):
    """An encoder's embeddings of the labels."""

    encoder: EncoderSpec
    key: LabelsKey | None

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the one artifact."""
        return (self.key,)


class Resolved(Reference):
    """A network whose weights are at hand, and what determines its features; None where they are not at hand."""

    model: ModelSpec
    key: FeaturesKey | None

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return nothing that the store could have, and None where the weights are to be downloaded."""
        return () if self.key else (None,)


class Extracted(Reference):
    """A network's features, or the reason why there are none."""

    model: ModelSpec
    key: FeaturesKey | None
    samples: Samples
    failure: str | None = None

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the keys of the shards."""
        if self.key is None:
            return (None,)
        return [self.key.shard(contents) for contents in self.samples.shard_contents(store, SHARD_ROWS)]


class Pass(Reference):
    """The features of networks that were extracted together, and which samples cannot be read."""

    members: tuple[Extracted, ...]
    skipped: tuple[Skipped, ...] | None = None
    """None: not known, since no network has seen all samples."""

    def parts(self) -> Sequence[tuple[str, Reference]]:
        """Return the features of each network."""
        return [(member.model.id, member) for member in self.members]


class Accumulated(Reference):
    """The moments of a candidate's features, fold by fold; not in the store where the features are smaller."""

    model: ModelSpec
    folds: int
    key: MomentsKey | None
    kept: bool = True

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.model.id} in {self.folds} {'folds' if self.folds > 1 else 'piece'}"

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the one artifact."""
        return (self.key,)


class Scoring(BaseModel):
    """A score to be computed: of whom, by what, and from which features."""

    model_config = ConfigDict(frozen=True)

    model: ModelSpec
    estimator: EstimatorSpec
    features: FeaturesKey | None
    """Those of the candidate."""
    given: FeaturesKey | None
    """Those that the estimator reads: the candidate's, or the logits of its classifier."""
    given_by: ModelSpec
    folds: int = 0
    """In how many folds the estimator wants the moments of the features; 0: it reads no moments."""
    failure: str | None = None
    """Why there can be no such score."""


class Facts(BaseModel):
    """What is known of a candidate beside its scores."""

    model_config = ConfigDict(frozen=True)

    dimension: int
    parameters: int
    throughput: float
    constant: bool


class Scored(Reference):
    """A candidate's score by one estimator, or the reason why there is none."""

    model: ModelSpec
    estimator: EstimatorSpec
    key: ScoreKey | None = None
    score: float | None = None
    folds: tuple[float, ...] = ()
    """The score of each fold alone, where the estimator gives it."""
    seconds: float = 0.0
    facts: Facts | None = None
    failure: str | None = None

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.model.id} by {self.estimator.id}"

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the one artifact."""
        return (self.key,)


class Outcome(BaseModel):
    """What a run gave: label embeddings, features, moments, scores."""

    model_config = ConfigDict(frozen=True)

    samples: Samples
    embedded: tuple[Embedded, ...]
    resolved: tuple[Resolved, ...]
    extracted: tuple[Extracted, ...]
    """Features that some score was to be computed from; those of the other candidates were not needed."""
    moments: tuple[Accumulated, ...]
    scored: tuple[Scored, ...]
    failed: dict[str, str]
    """Networks that have no features, with the reason."""
    seconds: dict[str, float]
    """Wall time of each phase."""
    computed: dict[str, list[str]]
    """What took work, by the name of the stage; the rest was in the store."""
