"""Evaluation of tables and files of scores and truth, valid and invalid ones."""

import contextlib
import itertools
import os
from math import inf, nan
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from emms.errors import EMMSError
from emms.evaluation import METRICS, SCHEMA, evaluate, evaluate_csv

MODELS = ["resnet18", "resnet50", "vit_small", "vit_base"]
SCORES = pl.DataFrame({"model": MODELS, "score": [-0.9, -0.7, -0.8, -0.2]})
TRUTH = pl.DataFrame({"model": MODELS, "value": [70.0, 76.5, 78.0, 81.0]})


def labelled(frame, **labels):
    return frame.with_columns(**{name: pl.lit(label) for name, label in labels.items()})


def test_an_evaluation_is_the_metrics_over_the_common_models():
    row = evaluate(SCORES, TRUTH).row(0, named=True)
    assert list(row) == list(SCHEMA)
    assert (row["dataset"], row["estimator"], row["n_models"], row["n_left_out"]) == (None, None, 4, 0)
    assert (row["rel@5"], row["recall@5"]) == (None, None)
    for name in set(METRICS) - {"rel@5", "recall@5"}:
        assert row[name] == pytest.approx(METRICS[name](SCORES["score"], TRUTH["value"]))


def test_with_a_single_common_model_all_metrics_are_null():
    row = evaluate(SCORES, TRUTH.head(1)).row(0, named=True)
    assert row["n_models"] == 1
    assert [row[name] for name in METRICS] == [None] * len(METRICS)


def test_left_out_models_are_named():
    scores = pl.DataFrame({"model": ["a", "b", "c", "d", "e", "f"], "score": [1.0, 2.0, 3.0, 4.0, nan, None]})
    truth = pl.DataFrame({"model": ["z", "y", "f", "e", "c", "b", "a"], "value": [1.0, 1.0, 1.0, 1.0, 30.0, nan, 10.0]})
    row = evaluate(scores, truth).row(0, named=True)
    assert (row["n_models"], row["n_left_out"]) == (2, 6)
    assert row["not_in_truth"] == "b; d"
    assert row["not_in_scores"] == "y; z"
    assert row["without_score"] == "e; f"
    assert row["kendall_tau"] is None
    assert row["rel@1"] == 1


def test_rows_are_sorted_and_identical_for_any_order_of_input():
    scores = pl.concat(
        labelled(SCORES, dataset=dataset, estimator=estimator)
        for dataset, estimator in itertools.product(["pets", "cars"], ["logme", "emms"])
    )
    truth = pl.concat(
        [labelled(TRUTH, dataset="cars"), labelled(TRUTH, dataset="pets"), labelled(TRUTH, dataset="dtd")]
    )
    expected = evaluate(scores, truth)
    assert expected.select("dataset", "estimator").rows() == [
        ("cars", "emms"),
        ("cars", "logme"),
        ("pets", "emms"),
        ("pets", "logme"),
    ]
    for seed in range(5):
        shuffled = (frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (scores, truth))
        assert_frame_equal(evaluate(*shuffled), expected, check_exact=True)


def test_a_single_dataset_can_be_named_in_one_table_only():
    for scores, truth in [(labelled(SCORES, dataset="pets"), TRUTH), (SCORES, labelled(TRUTH, dataset="pets"))]:
        assert evaluate(scores, truth).select("dataset", "n_models").rows() == [("pets", 4)]


def test_a_dataset_whose_truth_is_unknown_has_a_row_without_numbers():
    scores = pl.concat([labelled(SCORES, dataset="pets"), labelled(SCORES, dataset="cars")])
    cars, pets = evaluate(scores, labelled(TRUTH, dataset="pets")).rows(named=True)
    assert (cars["n_models"], cars["weighted_kendall_tau"], cars["rel@1"]) == (0, None, None)
    assert cars["not_in_truth"] == "; ".join(sorted(MODELS))
    assert pets["n_models"] == 4


def test_repeated_rows_and_other_columns_are_ignored():
    scores = pl.concat([SCORES, SCORES]).with_columns(rank=pl.lit(1), seconds=pl.int_range(8))
    assert evaluate(scores, pl.concat([TRUTH, TRUTH])).equals(evaluate(SCORES, TRUTH))


def test_numbers_written_as_text_are_numbers():
    text = pl.DataFrame({"model": MODELS, "score": [" -0.9", "-7e-1", "-0.8 ", "-.2"]})
    assert evaluate(text, TRUTH).equals(evaluate(SCORES, TRUTH))


@pytest.mark.parametrize("column", ["finetuned_accuracy", "accuracy"])
def test_other_names_of_the_column_of_values(column):
    assert evaluate(SCORES, TRUTH.rename({"value": column})).equals(evaluate(SCORES, TRUTH))


def test_the_column_value_takes_precedence():
    truth = TRUTH.with_columns(accuracy=pl.lit(0.0))
    assert evaluate(SCORES, truth).equals(evaluate(SCORES, TRUTH))


two = pl.DataFrame({"model": ["resnet18", "resnet50"], "dataset": ["pets", "cars"], "score": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (SCORES.rename({"score": "scores"}), TRUTH, "scores: there is no column 'score'; did you mean 'scores'"),
        (SCORES.rename({"model": "Model"}), TRUTH, "scores: there is no column 'model'; did you mean 'Model'"),
        (SCORES, TRUTH.rename({"value": "top1"}), "truth: there is no column 'value' or .* 'top1'"),
        (SCORES, TRUTH.rename({"value": "acuracy"}), "did you mean 'acuracy'"),
        (SCORES, TRUTH.rename({"value": "accuracy"}).with_columns(finetuned_accuracy=1), "rename the one to use"),
        (SCORES.with_columns(score=pl.Series(["1", "2", "x", "4"])), TRUTH, r"row 3 \(model 'vit_small'\) has 'x'"),
        (SCORES.with_columns(score=pl.lit(True)), TRUTH, "column 'score' has type Boolean; it must be numbers"),
        (SCORES.with_columns(model=pl.Series(["a", None, "b", "c"])), TRUTH, "scores: row 2 has no model"),
        (SCORES.with_columns(model=pl.Series(["a", "b", " ", "c"])), TRUTH, "scores: row 3 has no model"),
        (SCORES.clear(), TRUTH, "scores: there are no rows"),
        (SCORES, TRUTH.with_columns(value=pl.lit(None)), "truth: column 'value' has no number"),
        (
            SCORES,
            TRUTH.with_columns(value=pl.lit(inf)),
            "truth: model 'resnet18' has an infinite value.* leave the cell",
        ),
        (
            labelled(SCORES.with_columns(score=pl.Series([1.0, 2.0, -inf, 4.0])), estimator="leep"),
            TRUTH,
            "scores: model 'vit_small', estimator 'leep' has an infinite score.* leave the cell empty",
        ),
        (
            pl.concat([SCORES, SCORES.with_columns(score=pl.lit(0.5))]),
            TRUTH,
            "model 'resnet18' has two different values of score, -0.9 and 0.5; .* 'dataset' or 'estimator'",
        ),
        (
            SCORES,
            labelled(pl.concat([TRUTH, TRUTH.with_columns(value=pl.lit(99.0))]), dataset="pets"),
            "truth: model 'resnet18', dataset 'pets' has two different values of value, 70.0 and 99.0; keep one",
        ),
        (
            SCORES.with_columns(model="timm:" + pl.col("model")),
            TRUTH,
            "no model in common: the scores have 'timm:resnet18', .* and 1 more, the truth has 'resnet18'",
        ),
        (two, TRUTH, "2 datasets are named in the scores .'cars', 'pets'. and none in the truth"),
        (
            SCORES,
            two.rename({"score": "value"}),
            "2 datasets are named in the truth .'cars', 'pets'. and none in the scores",
        ),
        (
            two,
            labelled(TRUTH, dataset="dtd"),
            "no dataset in common: the scores have 'cars', 'pets', the truth has 'dtd'",
        ),
    ],
)
def test_invalid_tables_raise(scores, truth, message):
    with pytest.raises(EMMSError, match=message):
        evaluate(scores, truth)


# Files


@pytest.fixture
def truth_csv(tmp_path):
    TRUTH.write_csv(tmp_path / "truth.csv")
    return tmp_path / "truth.csv"


def test_csv_and_parquet_files_give_the_same_as_tables(tmp_path, truth_csv):
    SCORES.write_csv(tmp_path / "scores.csv")
    SCORES.write_parquet(tmp_path / "scores.parquet")
    for name in ("scores.csv", "scores.parquet"):
        assert evaluate_csv(str(tmp_path / name), truth_csv).equals(evaluate(SCORES, TRUTH))


def test_an_evaluation_can_be_written_and_read_back(tmp_path, truth_csv):
    SCORES.with_columns(score=pl.lit(1.0)).write_csv(tmp_path / "scores.csv")
    evaluation = evaluate_csv(tmp_path / "scores.csv", truth_csv)
    evaluation.write_csv(tmp_path / "evaluation.csv")
    assert pl.read_csv(tmp_path / "evaluation.csv", schema=SCHEMA).equals(evaluation)


def test_a_csv_from_a_spreadsheet(tmp_path, truth_csv):
    lines = [
        "\ufeffmodel , score,,",
        "resnet18,-0.9,,",
        "resnet50, -0.7,,",
        "",
        "vit_small,-0.8,,",
        " vit_base,-0.2,,",
        ",,,",
    ]
    (tmp_path / "scores.csv").write_bytes("\r\n".join(lines).encode())
    assert evaluate_csv(tmp_path / "scores.csv", truth_csv).equals(evaluate(SCORES, TRUTH))


def test_names_of_digits_are_read_as_text(tmp_path):
    (tmp_path / "scores.csv").write_text("model,score\n001,1\n1,2\n")
    (tmp_path / "truth.csv").write_text("model,value\n001,1\nx,2\n")
    row = evaluate_csv(tmp_path / "scores.csv", tmp_path / "truth.csv").row(0, named=True)
    assert (row["n_models"], row["not_in_truth"], row["not_in_scores"]) == (1, "1", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither a CSV in UTF-8 nor a valid Parquet file"),
        ("model,score\nrésnet,1\n".encode("latin-1"), "neither a CSV in UTF-8"),
        ("model,score\na,1\n".encode("utf-16"), "neither a CSV in UTF-8"),
        (b"PAR1 and then nothing of the kind", "neither a CSV in UTF-8 nor a valid Parquet file"),
        (b"model,score\na,1,2\n", "more fields than defined"),
        (b'model,score\n"a,1\nb,2\n', "neither a CSV"),
        (b"model,score,score\na,1,2\n", "neither a CSV .*'score'"),
        (b"model;score\na;1\n", "separated by semicolons"),
        (b"model,score\n", "there are no rows"),
        (b"model,score\nresnet18,1\n,2\n", "scores.csv': row 2 has no model"),
        (b"model,score\nresnet18,1\n\nresnet50,fast\n", r"scores.csv': row 3 \(model 'resnet50'\) has 'fast' as score"),
    ],
)
def test_invalid_files_raise(tmp_path, truth_csv, content, message):
    path = tmp_path / "scores.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EMMSError, match=message):
        evaluate_csv(path, truth_csv)


def test_a_damaged_parquet_file_raises(tmp_path, truth_csv):
    path = tmp_path / "scores.parquet"
    SCORES.write_parquet(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    failures = 0
    for _ in range(100):
        damaged = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        damaged[rng.integers(4, len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            evaluate_csv(path, truth_csv)
        except EMMSError:
            failures += 1
    assert failures > 60


def test_a_folder_raises(tmp_path, truth_csv):
    with pytest.raises(EMMSError, match="a folder, not a regular file"):
        evaluate_csv(tmp_path, truth_csv)


def test_pipes_and_devices_raise_at_once(tmp_path, truth_csv):
    os.mkfifo(tmp_path / "pipe.csv")
    for path, kind in ((tmp_path / "pipe.csv", "a named pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(EMMSError, match=f"{kind}, not a regular file"):
            evaluate_csv(path, truth_csv)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text('model,score\n"12.nai \r;', max_size=60).map(str.encode))
def test_any_file_gives_a_table_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(EMMSError):
        assert evaluate_csv(path, path).schema == SCHEMA
