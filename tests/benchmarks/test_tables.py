"""The table of estimators, and which estimators a dataset has."""

from __future__ import annotations

import polars as pl

from benchmarks.ranking.__main__ import estimators
from benchmarks.ranking.datasets import DATASETS
from benchmarks.ranking.tables import agreement
from emms.estimators import ESTIMATORS


def scored(**scores: list[float]) -> pl.DataFrame:
    """Return a table of candidates a, b, …, whose truth is 0, 1, …"""
    rows = [
        {"model": "abcd"[i], "features": 8, "estimator": name, "score": score, "seconds": 0.5, "value": float(i)}
        for name, column in scores.items()
        for i, score in enumerate(column)
    ]
    return pl.DataFrame(rows)


def test_estimators_are_ordered_by_their_mean_agreement_and_those_with_fewer_candidates_are_last():
    tables = {
        "one": scored(reversed=[4.0, 3, 2, 1], same=[1.0, 2, 3, 4], few=[1.0, 2, 3]),
        "other": scored(reversed=[1.0, 2, 3, 4], same=[10.0, 20, 30, 40], few=[1.0, 2, 3]),
    }
    table = agreement(tables)
    cells = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [row[:4] for row in cells] == [
        ("same", "1.00", "1.00", "1.00"),
        ("reversed", "-1.00", "1.00", "0.00"),
        ("few", "1.00", "1.00", "1.00"),
    ]


def test_one_dataset_has_no_mean():
    table = agreement({"one": scored(same=[1.0, 2, 3, 4])})
    assert [column.header for column in table.columns] == [
        "estimator",
        "one",
        "deviation",
        "candidates",
        "seconds per model",
    ]


def test_own_labels_have_the_estimators_that_need_label_embeddings():
    names = {entry["name"] for entry in estimators([], DATASETS["clip-art-titles"])}
    assert names == {"emms", "emms-cv", "emms-decoded", "logme-f-label", "knn-labels"}


def test_classes_have_all_estimators_and_the_truth_first():
    entries = estimators([], DATASETS["digits"])
    assert entries[0] == {"name": "linear-probe"}
    assert {entry["name"] for entry in entries} == set(ESTIMATORS.names())
    assert estimators(["emms"], DATASETS["digits"]) == [
        {"name": "linear-probe"},
        {"name": "emms"},
        {"name": "emms", "solver": "released"},
    ]


def test_candidates_without_a_classifier_have_no_estimators_of_logits():
    names = {entry["name"] for entry in estimators([], DATASETS["wordnet"])}
    assert names == {name for name, estimator in ESTIMATORS if estimator.reads != "source logits"}
