"""The table of families: every row is a type that transformers knows, and reads what a task's samples have."""

from __future__ import annotations

import pytest
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from emms.downstream import DOWNSTREAM
from emms.errors import ModelError
from emms.models.families import FAMILIES, Kind, family_of

INPUTS = {name: task.inputs() for name, task in DOWNSTREAM}


@pytest.mark.parametrize("row", FAMILIES)
def test_a_row_names_a_type_and_classes_of_transformers(row: str):
    assert row.partition("/")[0] in CONFIG_MAPPING
    assert all(hasattr(transformers, name) for name in FAMILIES[row].classes)


def fitting(model_type: str, features: str = "encoder") -> set[str]:
    """Return the tasks that a family fits."""
    family = FAMILIES[model_type]
    return {task for task, inputs in INPUTS.items() if family.reads(inputs, features) <= inputs}


def test_tasks_that_families_fit():
    images = {"image-classification", "image-captioning"}
    joint = {"visual-question-answering", "referring-expression"}
    texts = {"text-classification", "text-question-answering"}
    assert fitting("vit") == images | joint
    assert fitting("bert") == fitting("gpt2") == fitting("t5") == texts | joint
    assert fitting("clip") == fitting("siglip") == images | joint | texts
    assert fitting("vilt") == fitting("blip") == fitting("visual_bert") == joint
    assert fitting("vision-encoder-decoder") == images | joint
    assert fitting("vision-encoder-decoder", "decoder") == {"image-captioning"}


@pytest.mark.parametrize(
    ("model_type", "inputs", "reads"),
    [
        ("clip", {"image", "text"}, {"image", "text"}),
        ("clip", {"image", "caption"}, {"image"}),
        ("clip", {"text", "context", "answer_start"}, {"text", "context"}),
        ("bert", {"text", "context", "answer_start"}, {"text", "context"}),
        ("bert", {"image", "text"}, {"text"}),
        ("bert", {"image"}, {"text"}),  # what it would need
        ("vilt", {"image"}, {"image", "text"}),
        ("vit", {"text"}, {"image"}),
        ("clip", {"wave"}, {"image", "text"}),
    ],
)
def test_what_is_read_depends_on_the_samples(model_type, inputs, reads):
    assert FAMILIES[model_type].reads(frozenset(inputs), "encoder") == reads


def test_only_captioners_with_features_of_the_decoder_read_captions():
    inputs = frozenset({"image", "text", "context", "caption"})
    reading = {row for row in FAMILIES if "caption" in FAMILIES[row].reads(inputs, "decoder")}
    assert reading == {row for row in FAMILIES if FAMILIES[row].kind is Kind.CAPTIONER}
    assert not any("caption" in family.reads(inputs, "encoder") for family in FAMILIES.values())


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "xlm", "vocab_size": 9, "architectures": ["XLMModel"]}, Kind.TEXT_ENCODER),
        ({"model_type": "granite", "vocab_size": 9, "architectures": ["GraniteForCausalLM"]}, Kind.TEXT_DECODER),
        ({"model_type": "led", "vocab_size": 9, "is_encoder_decoder": True}, Kind.TEXT_ENCODER_DECODER),
        ({"model_type": "blip", "architectures": ["BlipForConditionalGeneration"]}, Kind.CAPTIONER),
        ({"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]}, Kind.FUSED_ENCODER),
    ],
)
def test_networks_without_a_row_are_text_networks_if_they_have_a_vocabulary(config, kind):
    assert family_of(config, "mine").kind is kind


@pytest.mark.parametrize(
    "config", [{"model_type": "vit_mae"}, {"model_type": "llava", "vocab_size": 9, "vision_config": {}}]
)
def test_other_networks_without_a_row_are_refused(config):
    with pytest.raises(ModelError, match=r"model 'mine' is of the family '\w+', for which no use is known; .* bert, "):
        family_of(config, "mine")


def test_examples_differ():
    assert len({family.example for family in FAMILIES.values()}) == len(FAMILIES)
