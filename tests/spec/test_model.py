"""Names of candidates: id, alias, and other names in a truth table."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from emms.spec import ModelSpec


def model(**fields) -> ModelSpec:
    return ModelSpec(source="timm", name="resnet18", **fields)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "timm:resnet18"),
        ({"layer": "layer3"}, "timm:resnet18@layer3"),
        ({"pretrained": False, "seed": 3}, "timm:resnet18 (untrained, seed 3)"),
        ({"pool": "token", "checkpoint": "a/b.pth"}, "timm:resnet18 (a/b.pth, pool token)"),
        ({"layer": "layer3", "checkpoint": "b.pth", "alias": "ours"}, "ours"),
        ({"alias": "  Größe, 2. Versuch "}, "Größe, 2. Versuch"),
        ({"checkpoint": "weird\x1b.pth"}, r"timm:resnet18 (weird\x1b.pth)"),
    ],
)
def test_id(fields, name):
    assert model(**fields).id == name
    assert model(**fields).unaliased_id == model(**{**fields, "alias": None}).id


@pytest.mark.parametrize("text", ["timm:resnet18", "timm:resnet18@layer3.0", "hub:user/net:v1@a@b"])
def test_text_is_short_for_source_name_and_layer(text):
    assert ModelSpec.model_validate(text).id == text


@pytest.mark.parametrize("alias", ["", "  ", "two\nlines", "\x1b[31mred", "a" * 101, "x (pool logits)", 3])
def test_an_alias_is_short_printable_text(alias):
    with pytest.raises(ValidationError, match="alias"):
        model(alias=alias)


@pytest.mark.parametrize("field", ["source", "name", "layer"])
def test_names_are_printable(field):
    with pytest.raises(ValidationError, match="cannot be printed"):
        ModelSpec(**{"source": "timm", "name": "resnet18", field: "a\x1b[31m"})


def test_logits_have_another_id_than_their_candidate():
    assert model().logits().id == "timm:resnet18 (pool logits)"
    assert model(alias="ours").logits().id == "ours (pool logits)"
    assert model(alias="ours", pool="logits").logits().id == "ours"
    for candidate in (model(), model(alias="ours"), model(alias="ours", pool="mean")):
        assert candidate.logits().pool == "logits"
        assert candidate.logits() != candidate
        assert candidate.logits().logits() == candidate.logits()


def test_a_network_without_checkpoint_has_another_name_only_if_it_has_an_alias():
    assert model().other_names == ()
    assert model(alias="ours", pool="mean").other_names == ("timm:resnet18 (pool mean)",)
    assert model(alias="timm:resnet18").other_names == ()


def test_a_checkpoint_is_also_known_by_its_path_and_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"runs/best.safetensors", "./runs/best.safetensors", f"{tmp_path}/runs/best.safetensors"}
    names |= {"best.safetensors", "best"}
    for written in ("runs/best.safetensors", "./runs/best.safetensors"):
        assert set(model(checkpoint=written).other_names) == names
    aliased = model(checkpoint="runs/best.safetensors", alias="best")
    assert set(aliased.other_names) == {"timm:resnet18 (runs/best.safetensors)", *names} - {"best"}


def test_a_checkpoint_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    candidate = model(checkpoint="~/best.pth")
    assert candidate.checkpoint == Path(tmp_path, "best.pth")
    assert set(candidate.other_names) == {"~/best.pth", f"{tmp_path}/best.pth", "best.pth", "best"}


def test_aliases_within_a_pair_are_in_its_name():
    pair = ModelSpec.model_validate({"pair": [{"source": "timm", "name": "a", "alias": "mine"}, "hf:b"]})
    assert pair.id == "mine + hf:b"
    assert pair.unaliased_id == "timm:a + hf:b"
