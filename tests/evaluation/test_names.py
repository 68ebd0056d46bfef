"""Truth tables with other names of candidates, and similar names."""

import itertools
import time
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import EMMSError
from emms.evaluation import evaluate, named_as
from emms.evaluation.names import SIMILAR, join_names, listed, nearest, split_names
from emms.spec import ModelSpec


def checkpoint_names(path):
    return ModelSpec(source="timm", name="resnet18", checkpoint=path).other_names


MINE = "timm:vit_small (weights/Mine.v2.pt)"
NAMES = {
    MINE: ["flowers", *checkpoint_names("weights/Mine.v2.pt")],
    "timm:resnet50": [],
    "packaged:resnet18": ["small"],
}


def truth(*models, **columns):
    return pl.DataFrame({"model": models, "value": [float(i) for i in range(len(models))], **columns})


@pytest.mark.parametrize(
    "written",
    ["flowers", "weights/Mine.v2.pt", "./weights/Mine.v2.pt", "Mine.v2.pt", "Mine.v2", MINE, " flowers "],
)
def test_other_names_of_a_candidate(written):
    table = named_as(truth("timm:resnet50", written), NAMES)
    assert table.rows() == [("timm:resnet50", 0.0), (MINE, 1.0)]
    scores = pl.DataFrame({"model": [MINE, "timm:resnet50"], "score": [1.0, 2.0]})
    assert evaluate(scores, table)["n_models"].to_list() == [2]


def test_an_absolute_path_and_one_below_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = {"timm:vit": checkpoint_names(Path("runs/best.pt"))}
    for written in (f"{tmp_path}/runs/best.pt", f"{tmp_path}/runs/../runs/best.pt", "~/runs/best.pt"):
        assert named_as(truth(written), names)["model"].to_list() == ["timm:vit"]


def test_other_models_and_datasets_stay_as_they_are():
    table = truth("small", "small", "unknown", dataset=["pets", "cars", "pets"])
    assert named_as(table, NAMES).rows() == [
        ("packaged:resnet18", "cars", 1.0),
        ("packaged:resnet18", "pets", 0.0),
        ("unknown", "pets", 2.0),
    ]
    assert named_as(truth("a"), {}).rows() == [("a", 0.0)]


def test_an_id_takes_precedence_over_the_names_of_others():
    names = {"small": ["large"], "large": ["small"], "other": ["small", "large", ""]}
    assert named_as(truth("small", "large"), names).rows() == [("large", 1.0), ("small", 0.0)]


def test_an_ambiguous_name_raises_only_if_it_is_used():
    names = {"timm:a": checkpoint_names("x/best.pt"), "timm:b": checkpoint_names("y/best.pt")}
    assert named_as(truth("x/best.pt", "y/best.pt"), names)["model"].to_list() == ["timm:a", "timm:b"]
    with pytest.raises(
        EMMSError, match=r"mine.csv: 'best' matches 2 candidates, 'timm:a', 'timm:b'; write the full name"
    ):
        named_as(truth("x/best.pt", "best"), names, "mine.csv")


def test_two_rows_for_one_candidate():
    with pytest.raises(EMMSError, match=r"'flowers' and 'Mine.v2' both name candidate 'timm:vit_small.* 0.0 and 1.0"):
        named_as(truth("flowers", "Mine.v2"), NAMES)
    same = pl.DataFrame({"model": ["flowers", "Mine.v2"], "value": [1.0, 1.0]})
    assert named_as(same, NAMES).rows() == [(MINE, 1.0)]


def test_names_are_compared_in_normal_form():
    composed, decomposed = (unicodedata.normalize(form, "modèle:é") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for here, there in itertools.permutations([composed, decomposed]):
        assert named_as(truth(here), {there: []})["model"].to_list() == [there]
        assert named_as(truth(here), {"timm:x": [there]})["model"].to_list() == ["timm:x"]
    both = {composed: [], decomposed: []}
    assert named_as(truth(composed, decomposed), both).height == 2


def test_an_invalid_truth_table_raises():
    with pytest.raises(EMMSError, match=r"mine.csv: there is no column 'value'"):
        named_as(pl.DataFrame({"model": ["a"], "top1": [1.0]}), NAMES, "mine.csv")


# Similar names


@pytest.mark.parametrize(
    ("name", "candidate"),
    [
        ("test_vit", "timm:test_vit"),
        ("TEST-ViT", "timm:test_vit"),
        ("vit", "timm:vit"),
        ("timm:resnet5O", "timm:resnet50"),
        ("resnet50", "timm:resnet50.a1_in1k"),
        ("resnet10t", "timm:resnet10t (untrained, seed 0)"),
        ("clip-vit-large-patch14", "hf:openai/clip-vit-large-patch14"),
        ("mobilnetv3_small", "timm:mobilenetv3_small"),
        ("ﬁnetuned", "timm:finetuned"),
        ("日本語モデル", "timm:日本語モデル"),
    ],
)
def test_a_similar_name_is_found(name, candidate):
    assert nearest([name], [candidate, "timm:other"]) == {name: candidate}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("resnet18", "timm:resnet34"),
        ("efficientnet_b0", "timm:efficientnet_b1"),
        ("vit_base_patch16_224", "vit_base_patch32_224"),
        ("timm:x@layer3", "timm:x@layer4"),
        ("resnet50.a1_in1k", "timm:resnet50@layer4"),
        ("convnext", "swin"),
        ("", "swin"),
        ("(", ":"),
    ],
)
def test_another_network_is_not_suggested(name, other):
    assert nearest([name], [other]) == {}


def test_the_most_similar_name_is_used_and_each_only_once():
    names = ["mobilenet", "mobilnet"]
    assert nearest(names, ["timm:mobilenet"]) == {"mobilenet": "timm:mobilenet"}
    assert nearest(names, ["timm:mobilenet", "timm:mobilnett"]) == {
        "mobilenet": "timm:mobilenet",
        "mobilnet": "timm:mobilnett",
    }
    assert nearest([], ["a"]) == nearest(["a"], []) == {}


@given(st.lists(st.text("ab1-", max_size=4)), st.lists(st.text("ab1-", max_size=4)))
def test_similar_names_do_not_depend_on_the_order(names, others):
    pairs = nearest(names, others)
    assert pairs == nearest(names[::-1], others[::-1])
    assert set(pairs) <= set(names)
    assert set(pairs.values()) <= set(others)
    assert len(set(pairs.values())) == len(pairs)


def test_many_names_take_little_time():
    names = [f"network_{i}_family_{i % 7}" for i in range(200)]
    start = time.perf_counter()
    nearest(names, [f"timm:architecture_{i}.tag{i % 5}" for i in range(500)])
    assert time.perf_counter() - start < 5


def test_names_below_the_limit_are_listed_and_others_counted():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed([]) == ""
    assert 0.8 < SIMILAR < 1


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool)))
def test_joined_names_can_be_split(names):
    assert split_names(join_names(names)) == names
