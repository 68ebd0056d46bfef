"""References that the stages of a run pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    in_files: bool = True
    """Whether the fields of a sample that it reads are in files, rather than in the listing."""
    layers: tuple[str | None, ...] = ()
    """The layers of which the best is chosen, if the model asks for that."""

    def apart(self) -> list[Resolved]:
        """Return the network at each of its layers of which the best is chosen, or else the network itself."""
        if self.key is None or not self.layers:
            return [self]
        return [
            self.model_copy(
                update={
                    "model": at_layer(self.model, layer),
                    "key": self.key.model_copy(update={"layer": layer}),
                    "layers": (),
                }
            )
            for layer in self.layers
        ]

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return no keys, since weights are not in the store; (None,) if the weights have to be downloaded."""
        return () if self.key else (None,)


class Extracted(Reference):
    """The features of a network, or the reason why there are none."""

    model: ModelSpec
    key: FeaturesKey | None
    samples: Samples
    in_files: bool = True
    failure: str | None = None

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the keys of the shards."""
        if self.key is None:
            return (None,)
        contents = self.samples.shard_contents(store, SHARD_ROWS, frozenset(self.key.reads))
        return [self.key.shard(part) for part in contents]


class Pass(Reference):
    """The features of networks that were extracted together, and the samples that cannot be read."""

    members: tuple[Extracted, ...]
    skipped: tuple[Skipped, ...] | None = None
    """None if unknown, since no network has processed all samples."""

    def parts(self) -> Sequence[tuple[str, Reference]]:
        """Return the features of each network."""
        return [(member.model.id, member) for member in self.members]


class Joined(BaseModel):
    """The features of one network, or of several side by side."""

    model_config = ConfigDict(frozen=True)

    models: tuple[ModelSpec, ...]
    features: tuple[FeaturesKey, ...] | None
    """The keys of the features; None if some weights have not been downloaded."""

    @property
    def id(self) -> str:
        """The ids of the networks."""
        return " + ".join(model.id for model in self.models)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the features."""
        return tuple(key.address for key in self.features or ())

    def failure(self, failed: Mapping[str, str]) -> str | None:
        """Return why one of the networks has no features, or None; failed: the reasons by the networks' ids."""
        return next((failed[model.id] for model in self.models if model.id in failed), None)


class Accumulated(Reference):
    """The moments of a candidate's features, per fold; not in the store if the features are smaller."""

    of: str
    """The ids of the networks."""
    folds: int
    key: MomentsKey | None
    kept: bool = True

    @property
    def name(self) -> str:
        """Name in results."""
        return moments_name(self.of, self.folds)

    def artifacts(self, store: Store) -> Sequence[Key | None]:
        """Return the key of the artifact."""
        return (self.key,)


class Scoring(BaseModel):
    """A score to be computed: of which candidate, by which estimator, and from which features."""

    model_config = ConfigDict(frozen=True)

    model: ModelSpec
    estimator: EstimatorSpec
    features: tuple[Joined, ...]
    """The candidate's features: one, or those of each layer of which the best is chosen."""
    logits: Joined | None = None
    """What the estimator reads instead, if it reads the logits of the network's own classifier."""
    folds: int = 0
    """Number of folds of the moments that the estimator reads; 0 if it reads no moments."""
    failure: str | None = None
    """Why the score cannot be computed."""

    @property
    def inputs(self) -> tuple[Joined, ...]:
        """What the estimator reads."""
        return self.features if self.logits is None else (self.logits,)

    @property
    def networks(self) -> set[str]:
        """The ids of all networks whose features are needed."""
        return {model.id for joined in (*self.features, *self.inputs) for model in joined.models}


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
    layers: tuple[str, ...] = ()
    """The layer that was chosen for each fold, if the model asks for the best."""
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


def at_layer(model: ModelSpec, layer: str | None) -> ModelSpec:
    """Return a model at one layer."""
    alias = model.alias and f"{model.alias} at {layer}"
    return model.model_copy(update={"layer": layer, "alias": alias})


def moments_name(of: str, folds: int) -> str:
    """Return what a record and the titles of tasks call the moments of networks."""
    return f"{of} in {folds} {'folds' if folds > 1 else 'fold'}"


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
