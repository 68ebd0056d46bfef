"""Checks of a complete spec, and its serialisation."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from emms.spec import Spec

CANDIDATE = {"source": "timm", "name": "resnet18"}


def spec(**fields) -> Spec:
    return Spec.model_validate({"dataset": {"format": "digits"}, "models": ["timm:resnet50"], **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dataset": {"format": "parquet", "path": "~/x.parquet", "class_names": ["a", "b"]}},
        {"models": [{**CANDIDATE, "alias": "ours", "checkpoint": "mine.pth"}], "truth": "truth.csv"},
        {"estimators": [{"name": "emms", "solver": "released", "folds": [1, 2], "more": {"a": None}}]},
    ],
)
def test_a_spec_survives_json_and_pickle(fields):
    there = spec(**fields)
    assert Spec.model_validate(there.model_dump(mode="json")) == there
    assert Spec.model_validate_json(there.model_dump_json()) == there
    assert Spec.model_validate(there.model_dump()) == there
    assert pickle.loads(pickle.dumps(there)) == there


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (["timm:resnet18", CANDIDATE], "timm:resnet18"),
        ([{**CANDIDATE, "alias": "a"}, {"source": "timm", "name": "vit", "alias": "a"}], "a"),
        ([{**CANDIDATE, "alias": "a"}, {**CANDIDATE, "alias": "b"}], "timm:resnet18"),
        (["timm:resnet18", {**CANDIDATE, "alias": "b"}], "timm:resnet18"),
        ([{"source": "timm", "name": "vit", "alias": "timm:resnet18"}, "timm:resnet18"], "timm:resnet18"),
        (
            [{"source": "timm", "name": "vit", "alias": "timm:resnet18"}, {**CANDIDATE, "alias": "b"}],
            "timm:resnet18",
        ),
        ([{**CANDIDATE, "checkpoint": "a.pth"}, {**CANDIDATE, "checkpoint": "./a.pth"}], "timm:resnet18 (a.pth)"),
    ],
)
def test_ambiguous_names_of_candidates_raise(models, name):
    with pytest.raises(ValidationError) as refused:
        spec(models=models)
    assert f"'{name}' is the name of more than one entry; remove the repeats, or change an alias" in str(refused.value)


def test_a_name_stands_for_one_network_in_pairs_too():
    vit, aliased = {"source": "timm", "name": "vit"}, {**CANDIDATE, "alias": "a"}
    different = [
        [{"pair": [aliased, vit]}, {**vit, "alias": "a"}],
        [{"pair": [aliased, vit]}, {"pair": [{**CANDIDATE, "layer": "layer1", "alias": "a"}, vit], "alias": "b"}],
        [{"pair": [aliased, {**vit, "alias": "a"}]}],
        [{"pair": [CANDIDATE, vit], "alias": "timm:vit"}],
    ]
    for models in different:
        with pytest.raises(ValidationError, match=r"is the name of two different networks; change an alias"):
            spec(models=models)
    spec(models=[{"pair": [aliased, vit]}, aliased, vit, {"pair": [vit, vit]}])


def test_candidates_that_differ_in_any_setting_are_allowed():
    models = [
        "timm:resnet18",
        {**CANDIDATE, "pool": "logits"},
        {**CANDIDATE, "checkpoint": "a/best.pth"},
        {**CANDIDATE, "checkpoint": "b/best.pth"},
        {**CANDIDATE, "checkpoint": "c/best.pth", "alias": "best.pth"},
        {"source": "timm", "name": "vit", "alias": "timm:vit"},
    ]
    assert len({model.id for model in spec(models=models).models}) == len(models)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_must_be_valid_for_every_generator(seed):
    with pytest.raises(ValidationError, match="seed"):
        spec(seed=seed)
    with pytest.raises(ValidationError, match="seed"):
        spec(models=[{**CANDIDATE, "pretrained": False, "seed": seed}])


def test_every_setting_has_a_description():
    schema = Spec.model_json_schema()
    described = [schema, schema["$defs"]["ModelSpec"], schema["$defs"]["EncoderSpec"], schema["$defs"]["EstimatorSpec"]]
    for name, setting in ((n, s) for d in described for n, s in d["properties"].items()):
        assert setting.get("description", "").endswith("."), name
