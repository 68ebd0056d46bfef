"""References that the stages of a run pass on."""

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
    notes: tuple[str, ...] = ()
    """Warnings, such as about texts that were cut off."""

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the artifact."""
        return (self.key,)


class Resolved(Reference):
    """A network and the key of its features; the key is None if its weights have not been downloaded."""

    model: ModelSpec
    key: FeaturesKey | None

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return no keys, since weights are not in the store; (None,) if the weights have to be downloaded."""
        return () if self.key else (None,)


class Extracted(Reference):
    """The features of a network, or the reason why there are none."""

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
    """The features of networks that were extracted together, and the samples that cannot be read."""

    members: tuple[Extracted, ...]
    skipped: tuple[Skipped, ...] | None = None
    """None if unknown, since no network has processed all samples."""

    def parts(self) -> Sequence[tuple[str, Reference]]:
        """Return the features of each network."""
        return [(member.model.id, member) for member in self.members]


class Accumulated(Reference):
    """The moments of a candidate's features, per fold; not in the store if the features are smaller."""

    model: ModelSpec
    folds: int
    key: MomentsKey | None
    kept: bool = True

    @property
    def name(self) -> str:
        """Name in results."""
        return moments_name(self.model, self.folds)

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the artifact."""
        return (self.key,)


class Scoring(BaseModel):
    """A score to be computed: of which candidate, by which estimator, and from which features."""

    model_config = ConfigDict(frozen=True)

    model: ModelSpec
    estimator: EstimatorSpec
    features: FeaturesKey | None
    """Key of the candidate's features."""
    input: FeaturesKey | None
    """Key of the features that the estimator reads: the candidate's, or the logits of its classifier."""
    input_model: ModelSpec
    """The model of `input`."""
    folds: int = 0
    """Number of folds of the moments that the estimator reads; 0 if it reads no moments."""
    failure: str | None = None
    """Why the score cannot be computed."""


class Facts(BaseModel):
    """Facts about a candidate other than its scores."""

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
    """The score of each fold, if the estimator is cross-validated."""
    seconds: float = 0.0
    facts: Facts | None = None
    failure: str | None = None

    @property
    def name(self) -> str:
        """Name in results."""
        return score_name(self.model, self.estimator)

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the artifact."""
        return (self.key,)


def moments_name(model: ModelSpec, folds: int) -> str:
    """Return what a record and the titles of tasks call the moments of a candidate."""
    return f"{model.id} in {folds} {'folds' if folds > 1 else 'fold'}"


def score_name(model: ModelSpec, estimator: EstimatorSpec) -> str:
    """Return what a record and the titles of tasks call a score."""
    return f"{model.id} by {estimator.id}"


class Outcome(BaseModel):
    """The outcome of a run: label embeddings, features, moments, scores."""

    model_config = ConfigDict(frozen=True)

    samples: Samples
    embedded: tuple[Embedded, ...]
    resolved: tuple[Resolved, ...]
    extracted: tuple[Extracted, ...]
    """Features for scores that were not in the store; those of other candidates were not needed."""
    moments: tuple[Accumulated, ...]
    scored: tuple[Scored, ...]
    failed: dict[str, str]
    """Networks that have no features, with the reason."""
    seconds: dict[str, float]
    """Wall time of each phase."""
    computed: dict[str, list[str]]
    """What was computed rather than found in the store, by the name of the stage."""
