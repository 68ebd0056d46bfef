"""Estimators fitted to a source: labels that samples do not share, in memory or in a file, and groups of samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, make_estimator
from emms.estimators.source import Source
from emms.moments import TargetMoments
from emms.moments.folds import add_up, assign_folds
from emms.moments.rows import RowFile

OF_LABEL_EMBEDDINGS = [name for name, estimator in ESTIMATORS if estimator.needs == "label embeddings"]


@dataclass
class Captions(Source):
    """Samples with captions; those of a group share their features, as captions of an image do."""

    X: np.ndarray
    label_embeddings: Any = None
    label_index: np.ndarray | None = None
    groups: np.ndarray | None = None
    classes = False

    @property
    def batches(self):
        return [self.X[:70], self.X[70:]]

    def moments(self, folds):
        parts = [TargetMoments(self.X.shape[1], *self.label_embeddings.shape[1:]) for _ in range(folds)]
        fold_of = assign_folds(self.label_index, folds, 0, self.groups)
        add_up(parts, self.batches, fold_of, self.label_index, self.label_embeddings)
        return parts


def images(n=60, each=5, D1=30):
    """Return random features of images, and captions that are similar if they are of the same image."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(n), each)
    X = rng.standard_normal((n, D1)).astype(np.float32)[image]
    Z = rng.standard_normal((n, 6, 2))[image] + 0.1 * rng.standard_normal((n * each, 6, 2))
    return X, Z.astype(np.float32), np.arange(n * each), image


@pytest.mark.parametrize("name", OF_LABEL_EMBEDDINGS)
def test_label_embeddings_in_a_file_have_the_same_score(name):
    X, Z, y, image = images()
    expected = make_estimator(name).fit_source(Captions(X, Z, y, image)).score_
    in_file = make_estimator(name).fit_source(Captions(X, RowFile(6, 2).append(Z), y, image)).score_
    assert in_file == expected


@pytest.mark.parametrize("name", ["emms-decoded", "emms-cv", "knn-labels"])
def test_samples_of_a_group_do_not_help_each_other(name):
    X, Z, y, image = images()
    chance = {"emms-decoded": 0.01, "emms-cv": 0.0, "knn-labels": 0.0}[name]
    together = make_estimator(name).fit_source(Captions(X, Z, y, image)).score_
    apart = make_estimator(name).fit_source(Captions(X, Z, y)).score_
    assert together < chance + 0.05
    assert apart > together + 0.1


@pytest.mark.parametrize("name", [n for n, e in ESTIMATORS if e.needs == "labels" and e.reads != "source logits"])
def test_estimators_of_classes_say_why_they_have_no_score(name):
    with pytest.raises(EstimatorError, match=rf"'{name}' needs classes, .*use emms-decoded, .* or knn-labels"):
        make_estimator(name).fit_source(Captions(*images()))


def test_all_others_work_for_labels_that_samples_do_not_share():
    assert set(OF_LABEL_EMBEDDINGS) == {"emms", "emms-cv", "emms-decoded", "logme-f-label", "knn-labels"}
