"""Metrics against scipy and plain formulas, their laws, and what tables and files may look like."""

import contextlib
import itertools
import math
from math import inf, nan

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy import stats

from emms.errors import EMMSError
from emms.evaluation import (
    METRICS,
    SCHEMA,
    evaluate,
    evaluate_csv,
    kendall_tau,
    pearson,
    recall_at_k,
    rel_at_k,
    spearman,
    weighted_kendall_tau,
    weighted_pearson,
)

CORRELATIONS = [weighted_kendall_tau, kendall_tau, spearman, pearson, weighted_pearson]
RANK_METRICS = [name for name in METRICS if "pearson" not in name]

# Few distinct numbers, so that ties are common.
tied = st.integers(-4, 4).map(lambda i: i / 4)


@st.composite
def rankings(draw, most=12):
    """Scores and truth of a few models, neither constant."""
    n = draw(st.integers(3, most))
    scores, truth = (np.array(draw(st.lists(tied, min_size=n, max_size=n))) for _ in range(2))
    assume(np.ptp(scores) > 0 and np.ptp(truth) > 0)
    return scores, truth


def agrees(a, b):
    return a == pytest.approx(b, abs=1e-12, nan_ok=True)


# Metrics, against other computations


@given(rankings())
def test_correlations_are_scipys(ranking):
    scores, truth = ranking
    assert agrees(weighted_kendall_tau(scores, truth), stats.weightedtau(scores, truth).statistic)
    assert agrees(kendall_tau(scores, truth), stats.kendalltau(scores, truth).statistic)
    assert agrees(spearman(scores, truth), stats.spearmanr(scores, truth).statistic)
    assert agrees(pearson(scores, truth), stats.pearsonr(scores, truth).statistic)


def weighted_tau_by_pairs(x, y):
    """The definition, as a sum over pairs of models, with places by x and then by y."""
    taus = []
    for key in (lambda i: (x[i], y[i]), lambda i: (y[i], x[i])):
        place = {i: p for p, i in enumerate(sorted(range(len(x)), key=key, reverse=True), start=1)}
        agreement = total_x = total_y = 0.0
        for i, j in itertools.combinations(range(len(x)), 2):
            weight = 1 / place[i] + 1 / place[j]
            agreement += weight * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
            total_x += weight * (x[i] != x[j])
            total_y += weight * (y[i] != y[j])
        taus.append(agreement / math.sqrt(total_x * total_y))
    return sum(taus) / 2


@given(rankings())
def test_weighted_kendall_tau_is_the_sum_over_pairs(ranking):
    assert agrees(weighted_kendall_tau(*ranking), weighted_tau_by_pairs(*ranking))


@given(rankings())
def test_weighted_pearson_weighs_by_rank_in_the_truth(ranking):
    scores, truth = ranking
    order = sorted(truth, reverse=True)
    places = [[place for place, value in enumerate(order, start=1) if value == t] for t in truth]
    weights = [sum(1 / place for place in mine) / len(mine) for mine in places]
    covariance = np.cov(scores, truth, aweights=weights)
    expected = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    assert agrees(weighted_pearson(scores, truth), expected)


@given(rankings(most=5), st.integers(1, 6))
def test_rel_and_recall_are_those_of_the_unluckiest_way_to_break_ties(ranking, k):
    scores, truth = ranking[0], ranking[1] + 2
    ways = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    assert rel_at_k(scores, truth, k) == min(max(truth[list(order[:k])]) / max(truth) for order in ways)
    best = sorted(truth, reverse=True)[:k]
    assert recall_at_k(scores, truth, k) == min(float(truth[order[0]] >= best[-1]) for order in ways)


def test_rel_and_recall_by_hand():
    scores = [0.9, 0.8, 0.7, 0.1]
    truth = [80.0, 60.0, 100.0, 90.0]
    assert [rel_at_k(scores, truth, k) for k in (1, 2, 3, 9)] == [0.8, 0.8, 1, 1]
    assert [recall_at_k(scores, truth, k) for k in (1, 2, 3, 9)] == [0, 0, 1, 1]


# Laws


@given(rankings(), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(ranking, random):
    scores, truth = ranking
    order = list(range(len(scores)))
    random.shuffle(order)
    for metric in METRICS.values():
        assert agrees(metric(scores[order], truth[order]), metric(scores, truth))


@given(rankings())
def test_every_metric_keeps_to_its_range(ranking):
    scores, truth = ranking[0], ranking[1] + 2
    for name, metric in METRICS.items():
        low = 0 if "@" in name else -1
        assert low - 1e-12 <= metric(scores, truth) <= 1 + 1e-12


@given(rankings())
def test_the_truth_itself_is_a_perfect_ranking(ranking):
    truth = ranking[1] + 2
    for metric in METRICS.values():
        assert agrees(metric(truth, truth), 1)


@given(rankings())
def test_negating_the_scores_flips_the_correlation(ranking):
    scores, truth = ranking
    for metric in (kendall_tau, spearman, pearson, weighted_pearson):
        assert agrees(metric(-scores, truth), -metric(scores, truth))
    # The weighted tau weighs by place in the scores too, so only a reversed truth is sure to flip.
    assert agrees(weighted_kendall_tau(-truth, truth), -1)


@given(rankings())
def test_a_monotone_transform_of_the_scores_changes_no_rank_metric(ranking):
    scores, truth = ranking
    for name in RANK_METRICS:
        assert agrees(METRICS[name](np.exp(3 * scores), truth), METRICS[name](scores, truth))


@given(rankings(), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_linear_transform_changes_no_correlation(ranking, scale, shift):
    scores, truth = ranking
    for metric in CORRELATIONS:
        expected = pytest.approx(metric(scores, truth), abs=1e-6)
        assert metric(scale * scores + shift, truth) == expected
        assert metric(scores, scale * truth + shift) == expected


@pytest.mark.parametrize("scores", [[1e200, 2e200, 4e200], [1e9 + 1, 1e9 + 2, 1e9 + 4], [1e-200, 2e-200, 4e-200]])
def test_pearson_bears_large_and_small_numbers(scores):
    assert pearson(scores, [1, 2, 4]) == pytest.approx(1)
    assert weighted_pearson(scores, [1, 2, 4]) == pytest.approx(1)


# What is not a plain number


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_model_without_score_or_truth_is_left_out(metric):
    expected = metric([3, 1, 2, 4], [30, 20, 10, 40])
    assert metric([3, nan, 1, 2, 9, 4], [30, 99, 20, 10, nan, 40]) == expected


@pytest.mark.parametrize("metric", CORRELATIONS)
@pytest.mark.parametrize(
    ("scores", "truth"),
    [([], []), ([1], [1]), ([1, 2], [1, 2]), ([5, 5, 5], [1, 2, 3]), ([1, 2, 3], [5, 5, 5]), ([1, 2, nan], [1, 2, 3])],
)
def test_a_correlation_that_says_nothing_is_nan(metric, scores, truth):
    assert math.isnan(metric(scores, truth))


def test_rel_and_recall_of_few_models():
    for metric in (rel_at_k, recall_at_k):
        assert math.isnan(metric([], [], k=1))
        assert metric([1], [7], k=1) == 1
        assert metric([1, 2], [7, 14], k=1) == 1
    assert rel_at_k([2, 1], [7, 14], k=1) == 0.5
    assert recall_at_k([2, 1], [7, 14], k=1) == 0


def test_equal_scores_earn_no_luck():
    assert rel_at_k([1, 1, 1], [50, 100, 75], k=2) == 0.75
    assert recall_at_k([1, 1, 1], [50, 100, 75], k=2) == 0


def test_models_as_good_as_the_kth_are_among_the_k_best():
    assert recall_at_k([3, 2, 1], [90, 90, 80], k=1) == 1


@pytest.mark.parametrize("truth", [[-3.0, -2.0, -1.0], [0.0, 0.0, 0.0]])
def test_rel_is_nan_where_the_best_truth_is_not_positive(truth):
    assert math.isnan(rel_at_k([1, 2, 3], truth, k=1))
    assert recall_at_k([1, 2, 3], truth, k=1) == 1


def test_infinite_scores_rank_first_and_last():
    scores, finite, truth = [inf, 3, 2, -inf], [4, 3, 2, 1], [70, 90, 80, 60]
    for name in RANK_METRICS:
        assert METRICS[name](scores, truth) == METRICS[name](finite, truth)
    assert math.isnan(pearson(scores, truth))
    assert math.isnan(weighted_pearson(scores, truth))


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([1, 2, 3], [1, 2], "one number per model"),
        ([[1, 2, 3]], [[1, 2, 3]], "one number per model"),
        (["a", "b", "c"], [1, 2, 3], "arrays of numbers"),
        ([1, 2, 3], [1, 2, inf], "infinite"),
    ],
)
def test_arrays_that_do_not_fit(scores, truth, message):
    for metric in METRICS.values():
        with pytest.raises(EMMSError, match=message):
            metric(scores, truth)


@pytest.mark.parametrize("metric", [rel_at_k, recall_at_k])
def test_no_model_is_among_the_best_none(metric):
    with pytest.raises(EMMSError, match="k is 0"):
        metric([1, 2, 3], [1, 2, 3], k=0)


# Tables


MODELS = ["resnet18", "resnet50", "vit_small", "vit_base"]
SCORES = pl.DataFrame({"model": MODELS, "score": [-0.9, -0.7, -0.8, -0.2]})
TRUTH = pl.DataFrame({"model": MODELS, "value": [70.0, 76.5, 78.0, 81.0]})


def labelled(frame, **labels):
    return frame.with_columns(**{name: pl.lit(label) for name, label in labels.items()})


def test_an_evaluation_is_the_metrics_over_the_common_models():
    row = evaluate(SCORES, TRUTH).row(0, named=True)
    assert list(row) == list(SCHEMA)
    assert (row["dataset"], row["estimator"], row["n_models"], row["n_left_out"]) == (None, None, 4, 0)
    for name, metric in METRICS.items():
        assert agrees(row[name], metric(SCORES["score"], TRUTH["value"]))


def test_what_was_left_out_is_named():
    scores = pl.DataFrame({"model": ["a", "b", "c", "d", "e", "f"], "score": [1.0, 2.0, 3.0, 4.0, nan, None]})
    truth = pl.DataFrame({"model": ["z", "y", "f", "e", "c", "b", "a"], "value": [1.0, 1.0, 1.0, 1.0, 30.0, nan, 10.0]})
    row = evaluate(scores, truth).row(0, named=True)
    assert (row["n_models"], row["n_left_out"]) == (2, 6)
    assert row["not_in_truth"] == "b; d"
    assert row["not_in_scores"] == "y; z"
    assert row["without_score"] == "e; f"
    assert row["kendall_tau"] is None
    assert row["rel@1"] == 1


def test_rows_are_sorted_and_bit_for_bit_the_same_in_any_order():
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


def test_the_only_dataset_need_be_named_on_one_side_only():
    for scores, truth in [(labelled(SCORES, dataset="pets"), TRUTH), (SCORES, labelled(TRUTH, dataset="pets"))]:
        assert evaluate(scores, truth).select("dataset", "n_models").rows() == [("pets", 4)]


def test_a_dataset_whose_truth_is_unknown_has_a_row_without_numbers():
    scores = pl.concat([labelled(SCORES, dataset="pets"), labelled(SCORES, dataset="cars")])
    cars, pets = evaluate(scores, labelled(TRUTH, dataset="pets")).rows(named=True)
    assert (cars["n_models"], cars["weighted_kendall_tau"], cars["rel@1"]) == (0, None, None)
    assert cars["not_in_truth"] == "; ".join(sorted(MODELS))
    assert pets["n_models"] == 4


def test_repeated_rows_count_once_and_other_columns_not_at_all():
    scores = pl.concat([SCORES, SCORES]).with_columns(rank=pl.lit(1), seconds=pl.int_range(8))
    assert evaluate(scores, pl.concat([TRUTH, TRUTH])).equals(evaluate(SCORES, TRUTH))


def test_numbers_written_as_text_are_numbers():
    text = pl.DataFrame({"model": MODELS, "score": [" -0.9", "-7e-1", "-0.8 ", "-.2"]})
    assert evaluate(text, TRUTH).equals(evaluate(SCORES, TRUTH))


@pytest.mark.parametrize("column", ["finetuned_accuracy", "accuracy"])
def test_the_truth_has_other_names_too(column):
    assert evaluate(SCORES, TRUTH.rename({"value": column})).equals(evaluate(SCORES, TRUTH))


def test_value_counts_where_the_truth_has_several_columns():
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
        (SCORES, TRUTH.rename({"value": "accuracy"}).with_columns(finetuned_accuracy=1), "name the one that counts"),
        (SCORES.with_columns(score=pl.Series(["1", "2", "x", "4"])), TRUTH, r"row 3 \(model 'vit_small'\) has 'x'"),
        (SCORES.with_columns(score=pl.lit(True)), TRUTH, "column 'score' holds Boolean; it must hold numbers"),
        (SCORES.with_columns(model=pl.Series(["a", None, "b", "c"])), TRUTH, "scores: row 2 has no model"),
        (SCORES.with_columns(model=pl.Series(["a", "b", " ", "c"])), TRUTH, "scores: row 3 has no model"),
        (SCORES.clear(), TRUTH, "scores: there are no rows"),
        (SCORES, TRUTH.with_columns(value=pl.lit(None)), "truth: column 'value' holds no number"),
        (SCORES, TRUTH.with_columns(value=pl.lit(inf)), "model 'resnet18' has an infinite value"),
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
def test_tables_that_do_not_fit(scores, truth, message):
    with pytest.raises(EMMSError, match=message):
        evaluate(scores, truth)


# Files


@pytest.fixture
def truth_csv(tmp_path):
    TRUTH.write_csv(tmp_path / "truth.csv")
    return tmp_path / "truth.csv"


def test_csv_and_parquet_give_what_the_tables_give(tmp_path, truth_csv):
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


def test_names_of_digits_stay_names(tmp_path):
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
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither a CSV in UTF-8 nor a Parquet file"),
        ("model,score\nrésnet,1\n".encode("latin-1"), "neither a CSV in UTF-8"),
        ("model,score\na,1\n".encode("utf-16"), "neither a CSV in UTF-8"),
        (b"PAR1 and then nothing of the kind", "neither a CSV in UTF-8 nor a Parquet file"),
        (b"model,score\na,1,2\n", "more fields than defined"),
        (b'model,score\n"a,1\nb,2\n', "neither a CSV"),
        (b"model,score,score\na,1,2\n", "neither a CSV .*'score'"),
        (b"model;score\na;1\n", r"no column 'score'.*columns: 'model;score'"),
        (b"model,score\n", "there are no rows"),
        (b"model,score\nresnet18,1\n,2\n", "scores.csv': row 2 has no model"),
        (b"model,score\nresnet18,1\n\nresnet50,fast\n", r"scores.csv': row 3 \(model 'resnet50'\) has 'fast' as score"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, truth_csv, content, message):
    path = tmp_path / "scores.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EMMSError, match=message):
        evaluate_csv(path, truth_csv)


def test_a_folder_is_no_table(tmp_path, truth_csv):
    with pytest.raises(EMMSError, match="Is a directory"):
        evaluate_csv(tmp_path, truth_csv)


@given(st.binary(max_size=60) | st.text('model,score\n"12.nai \r;', max_size=60).map(str.encode))
def test_whatever_a_file_holds_the_answer_is_a_table_or_a_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(EMMSError):
        assert evaluate_csv(path, path).schema == SCHEMA
