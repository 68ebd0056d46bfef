"""Published numbers are reproduced from the authors' files."""

from pathlib import Path

import polars as pl
import pytest

from emms.errors import EMMSError
from emms.evaluation import evaluate, evaluate_csv

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
SCORES = PUBLISHED / "tllib_model_ranking_scores.csv"
CORRELATIONS = PUBLISHED / "tllib_model_ranking_correlations.csv"
GROUND_TRUTH = PUBLISHED / "emms_ground_truth.csv"
COLUMNS = {"pearson_corr": "pearson", "weighted_tau": "weighted_kendall_tau"}


@pytest.fixture(scope="module")
def evaluation() -> pl.DataFrame:
    return evaluate_csv(SCORES, SCORES)


@pytest.mark.parametrize(
    ("dataset", "estimator", "correlation", "published"), list(pl.read_csv(CORRELATIONS).iter_rows())
)
def test_transfer_learning_library_correlation(evaluation, dataset, estimator, correlation, published):
    row = evaluation.row(by_predicate=(pl.col("dataset") == dataset) & (pl.col("estimator") == estimator), named=True)
    assert row["n_models"] == 10
    assert row[COLUMNS[correlation]] == pytest.approx(published, abs=0.006)


def test_a_row_per_dataset_and_estimator(evaluation):
    pairs = pl.read_csv(SCORES).select("dataset", "estimator").unique().sort("dataset", "estimator")
    assert evaluation.select("dataset", "estimator").equals(pairs)
    assert evaluation["n_left_out"].sum() == 0


def test_a_separate_truth_table_gives_the_same(evaluation, tmp_path):
    truth = pl.read_csv(SCORES).select("dataset", "model", value="finetuned_accuracy").unique()
    truth.write_csv(tmp_path / "truth.csv")
    assert evaluate_csv(SCORES, tmp_path / "truth.csv").equals(evaluation)
    assert evaluate(pl.read_csv(SCORES), truth).equals(evaluation)


def test_emms_ground_truth_ranks_itself_perfectly():
    truth = pl.read_csv(GROUND_TRUTH)
    evaluation = evaluate(truth.rename({"value": "score"}), truth)
    assert evaluation.height == 16
    assert evaluation["n_models"].sum() == truth.height
    for metric in ("weighted_kendall_tau", "kendall_tau", "spearman", "pearson", "weighted_pearson", "rel@1"):
        assert evaluation[metric].to_list() == pytest.approx([1] * 16)


def test_scores_and_truth_of_different_releases_have_different_names():
    with pytest.raises(
        EMMSError, match=r"no model in common: the scores have 'DenseNet121'.* the truth has 'deit_base'"
    ):
        evaluate_csv(SCORES, GROUND_TRUTH)
