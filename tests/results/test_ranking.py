"""Rankings: order, intervals, ties, and tables in narrow terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import emms
from emms.results.notes import few_samples

UNTRAINED = {"source": "timm", "pretrained": False}


@pytest.fixture
def settings(photos, tmp_path):
    return {
        "dataset": {"format": "imagefolder", "path": str(photos)},
        "models": [
            {**UNTRAINED, "name": "resnet10t"},
            {**UNTRAINED, "name": "mobilenetv3_small_050"},
            {**UNTRAINED, "name": "mobilenetv3_small_050", "layer": "blocks.1"},
        ],
        "label_encoders": ["packaged:glove-6b-50d"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }


def shown(ranking, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(ranking.table(width))
    return console.file.getvalue()


def test_the_default_estimator_is_cross_validated_with_intervals(settings):
    ranking = emms.rank(settings)
    assert ranking.frame["estimator"].unique().to_list() == ["emms-decoded"]
    assert (ranking.frame["low"] <= ranking.frame["score"]).all()
    assert (ranking.frame["score"] <= ranking.frame["high"]).all()
    assert ranking.frame["best_3"].to_list() == [1, 1, 1]
    assert ranking.warnings == []
    assert "±" in repr(ranking)


def test_an_estimator_of_training_samples_has_no_interval_and_a_warning(settings):
    ranking = emms.rank({**settings, "estimators": ["emms", "emms-cv"]})
    assert ranking.frame["low"].null_count() == 3
    assert "±" not in repr(ranking)
    assert "24 samples are few" in ranking.warnings[0]
    assert ranking.frame["rank"].to_list()[:2] == [1, 1]  # both explain everything
    assert "1=" in repr(ranking)


def test_a_narrow_table_folds_names_and_lists_hidden_columns(settings):
    ranking = emms.rank({**settings, "estimators": ["emms-cv", "emms", "logme"]})
    narrow, wide = shown(ranking, 80), shown(ranking, 120)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow + wide
    for row in ranking.frame.iter_rows(named=True):
        assert f"{row['score']:z.4f} ± " in narrow
        assert f"{row['features']:,}" in narrow
        assert f"{row['samples_per_second']:.0f}" in narrow
    assert "logme" in narrow.split("scores.parquet has also:")[1]
    assert "logme" in wide
    assert "scores.parquet" not in wide


@pytest.mark.parametrize("width", [46, 60, 66, 74, 80])
def test_columns_that_do_not_fit_are_left_out_but_names_and_scores_never(settings, width):
    ranking = emms.rank({**settings, "estimators": ["emms-decoded", "emms-cv"]})
    table = shown(ranking, width)
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in table
    assert "mobilenetv3" in table.replace(" ", "").replace("\n", "")
    for row in ranking.frame.iter_rows(named=True):
        assert f"{row['score']:.4f} ± " in table
        assert ("features" in table.split("has also")[0]) == (f" {row['features']:,} " in table)


def test_the_first_estimator_is_the_first_column_even_if_a_score_is_missing(settings):
    ranking = emms.rank({**settings, "models": settings["models"][::-1], "estimators": ["leep", "emms"]})
    header = next(line for line in shown(ranking, 120).splitlines() if "rank" in line)
    assert header.index("leep") < header.index("emms")
    (reason,) = ranking.failed.values()
    assert reason.endswith("blocks.1 (untrained, seed 0)' has no score: layers before a classifier have no logits")


def test_a_truth_of_only_failed_candidates_does_not_lose_results(settings, tmp_path):
    truth = tmp_path / "truth.csv"
    truth.write_text('model,value\n"timm:mobilenetv3_small_050@blocks.1 (untrained, seed 0)",0.5\n')
    ranking = emms.rank({**settings, "estimators": ["leep"], "truth": str(truth)})
    assert len(ranking) == 2
    assert ranking.agreement == [
        "weighted Kendall tau with the truth: undefined (every metric is undefined with no model in common; a "
        "comparison needs two or more, a correlation three), over none of 3 candidates; not in the truth: "
        "'timm:mobilenetv3_small_050 (untrained, seed 0)', 'timm:resnet10t (untrained, seed 0)'; without a score: "
        "'timm:mobilenetv3_small_050@blocks.1 (untrained, seed 0)'"
    ]


def test_enough_samples_give_no_warning(settings):
    frame = emms.rank(settings).frame
    assert few_samples(frame, 5 * frame["features"].max(), ["emms"], ["emms"]) == []
