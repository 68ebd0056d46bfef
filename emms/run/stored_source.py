"""Features and labels in the store, as the input of estimators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from emms.datasets.samples import Samples
from emms.downstream import Downstream
from emms.errors import StoreError
from emms.estimators.source import Source
from emms.labels.embed import LabelsKey
from emms.labels.lines import first_of_equal
from emms.labels.stored import label_embeddings
from emms.models.features import SHARD_ROWS, FeaturesKey, JoinedFeatures, find_features
from emms.moments import ClassMoments, Moments, TargetMoments
from emms.moments.folds import add_up, assign_folds
from emms.moments.rows import Rows
from emms.run.keys import MomentsKey
from emms.run.stage import Workspace
from emms.store import Store


class StoredSource(Source):
    """Features in the store, with the labels of the samples and their embeddings.

    features: the keys of the networks whose features are joined.
    moments: the key of moments that may be in the store, with any number of folds.
    """

    def __init__(
        self,
        run: Workspace,
        samples: Samples,
        labels: Sequence[LabelsKey],
        features: Sequence[FeaturesKey],
        moments: MomentsKey | None = None,
    ) -> None:
        self._run, self._samples, self._labels = run, samples, tuple(labels)
        self._features, self._moments = features, moments
        self.classes = run.task.classes

    @cached_property
    def label_index(self) -> np.ndarray:
        """The index of each sample's label, (N,). Labels with equal texts, as of the same box, are one label."""
        index = self._samples.label_index(self._run.store)
        run = self._run
        return (
            index
            if self.classes
            else _first_of_equal(run.task, self._samples, run.store, run.spec.label_template)[index]
        )

    @property
    def label_embeddings(self) -> Rows:
        """The embeddings of all U different labels by K encoders, (U, D2, K)."""
        counts = np.bincount(self.label_index, minlength=self._samples.labels)
        return _label_embeddings(self._run.store, self._labels, counts.tobytes(), self.classes)

    @cached_property
    def batches(self) -> JoinedFeatures:
        """The features, shard by shard. Raises StoreError if they are no longer in the store."""
        store, parts = self._run.store, []
        for key in self._features:
            features = find_features(store, key, self._samples.shard_contents(store, SHARD_ROWS, frozenset(key.reads)))
            if features is None:
                raise StoreError(f"features were removed from store '{store.url}' after they were computed; run again")
            parts.append(features)
        return JoinedFeatures(parts, [bad.row for bad in self._samples.skipped or ()])

    def moments(self, folds: int) -> Sequence[Moments]:
        """Return the moments of each fold, from the store if possible; more folds than asked for if `folds` is 1."""
        assert self._moments is not None
        artifact = self._run.store.find(self._moments)
        if artifact is None:
            return self.sum_up(self._moments.folds)
        kind: type[Moments] = ClassMoments if self.classes else TargetMoments
        return [kind.from_table(artifact.table(name)) for name in self._moments.file_names()]

    def sum_up(self, folds: int) -> Sequence[Moments]:
        """Compute the moments of each fold, in one pass over the features."""
        targets = None if self.classes else self.label_embeddings
        parts: list[Moments]
        if targets is None:
            parts = [ClassMoments(self.batches.dimension, self._samples.labels) for _ in range(folds)]
        else:
            parts = [TargetMoments(self.batches.dimension, *targets.shape[1:]) for _ in range(folds)]
        fold_of = assign_folds(self.label_index, folds, self._run.spec.seed, self.groups)
        add_up(parts, self.batches, fold_of, self.label_index, targets)
        return parts


@lru_cache(maxsize=1)  # once per run, since reducing embeddings to a common width takes longer than most scores
def _label_embeddings(store: Store, labels: tuple[LabelsKey, ...], counts: bytes, classes: bool) -> Rows:
    """Return the embeddings of all labels by all encoders, (U, D2, K); counts: the number of samples per label."""
    return label_embeddings(store, labels, np.frombuffer(counts, dtype=np.int64), classes=classes)


@lru_cache(maxsize=1)
def _first_of_equal(task: Downstream, samples: Samples, store: Store, template: str) -> np.ndarray:
    return first_of_equal(task.texts(samples.label_names(store), template))
