"""Texts on the coverage of an evaluation and on undefined metrics."""

import polars as pl
import pytest

from emms.evaluation import coverage, evaluate, remarks, undefined


def frames(scores, truth):
    return (
        pl.DataFrame({"model": list(scores), "score": list(scores.values())}, strict=False),
        pl.DataFrame({"model": list(truth), "value": list(truth.values())}, strict=False),
    )


def counted(*names):
    return {name: float(number) for number, name in enumerate(names, start=1)}


def row_of(scores, truth):
    return evaluate(*frames(scores, truth)).row(0, named=True)


def test_nothing_is_left_out():
    names = counted("a", "b", "c", "d")
    assert coverage(row_of(names, names)) == "over all 4 candidates"
    assert coverage(row_of(counted("a"), counted("a"))) == "over the only candidate"


def test_a_misnamed_model_is_named_with_a_suggestion():
    scores = counted("timm:resnet18", "timm:resnet50", "timm:vit_base", "timm:test_vit")
    truth = counted("timm:resnet18", "timm:resnet50", "timm:vit_base", "test_vit")
    said = coverage(row_of(scores, truth))
    assert said == "over 3 of 4 candidates; not matched: 'test_vit' (did you mean 'timm:test_vit'?)"


def test_each_reason_for_being_left_out_is_named():
    scores = counted("timm:resnet18", "timm:resnet50", "timm:vit_base") | {"timm:regnet": None}
    truth = counted("timm:resnet18", "timm:regnet", "resnet5O", "convnext", "swin")
    assert coverage(row_of(scores, truth)) == (
        "over 1 of 4 candidates; not matched: 'resnet5O' (did you mean 'timm:resnet50'?); "
        "not in the truth: 'timm:vit_base'; only in the truth: 'convnext', 'swin'; without a score: 'timm:regnet'"
    )


def test_truth_of_more_models_than_the_candidates_is_counted():
    said = coverage(row_of(counted("a", "b"), counted("a", "b", *(f"network-{i}" for i in range(100, 600)))))
    assert said == (
        "over all 2 candidates; only in the truth: 'network-100', 'network-101', 'network-102' and 497 more"
    )


def test_a_dataset_without_truth():
    scores, truth = frames(counted("a", "b"), counted("a", "b"))
    scores = pl.concat([scores.with_columns(dataset=pl.lit(name)) for name in ("cars", "pets")])
    cars, pets = evaluate(scores, truth.with_columns(dataset=pl.lit("pets"))).rows(named=True)
    assert coverage(cars) == "over none of 2 candidates; not in the truth: 'a', 'b'"
    assert coverage(pets) == "over all 2 candidates"


def test_names_with_the_separator_are_quoted():
    scores, truth = counted("a; b", 'say "c"', "d;e", "plain"), counted("plain")
    row = row_of(scores, truth)
    assert coverage(row) == """over 1 of 4 candidates; not in the truth: 'a; b', 'd;e', 'say "c"'"""


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (1, "every metric is undefined with one model in common; a comparison needs two or more, a correlation three"),
        (2, "correlations are undefined with two models in common"),
        (3, "rel@3, recall@3, rel@5, recall@5 are undefined with 3 models, where they are always 1"),
        (5, "rel@5, recall@5 are undefined with 5 models, where they are always 1"),
    ],
)
def test_what_is_undefined_with_few_models(models, words):
    names = counted(*map(str, range(models)))
    assert words in undefined(row_of(names, names))


def test_what_is_undefined_otherwise():
    names = counted(*"abcdef")
    assert undefined(row_of(names, names)) == ""
    assert "scores, or all values of the truth, are equal" in undefined(row_of(dict.fromkeys(names, 1.0), names))
    losses = {name: -value for name, value in names.items()}
    assert undefined(row_of(names, losses)) == "rel@k is undefined if the best value of the truth is not positive"


def test_every_undefined_metric_is_named():
    for models in range(1, 7):
        names = counted(*map(str, range(models)))
        row = row_of(names, names)
        missing = [name for name in ("rel@1", "rel@3", "rel@5", "recall@1") if row[name] is None]
        said = undefined(row)
        assert all(name in said or said.startswith("every metric") for name in missing)
        assert ("correlations" in said or "every metric" in said) == (row["spearman"] is None)


def test_remarks_are_not_repeated_and_name_their_rows():
    truth = pl.DataFrame({"model": list("abcdef"), "value": range(6)})
    scores = [
        pl.DataFrame({"model": list(models), "score": range(len(models))}).with_columns(
            dataset=pl.lit("pets"), estimator=pl.lit(name)
        )
        for name, models in {"emms": "abcdef", "leep": "abcdex", "logme": "abcdef"}.items()
    ]
    assert remarks(evaluate(pl.concat([scores[0], scores[2]]), truth)) == ["over all 6 candidates"]
    assert remarks(evaluate(pl.concat(scores), truth)) == [
        "pets by emms, pets by logme: over all 6 candidates",
        "pets by leep: over 5 of 6 candidates; not in the truth: 'x'; only in the truth: 'f'",
        "pets by leep: rel@5, recall@5 are undefined with 5 models, where they are always 1",
    ]
