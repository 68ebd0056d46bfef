"""Labels of referring expressions: their texts by template, and the defaults."""

import pytest

from emms.downstream import downstream
from emms.errors import LabelEncoderError, SpecError
from emms.labels import ENCODERS
from emms.spec import EncoderSpec

TASK = downstream("referring-expression")
LABELS = ["the red circle [1, 2, 300, 400]", "a {box} of {label} [0, 0, 9, 9]", "[5, 6, 7, 8]"]


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("{label}", LABELS),
        ("{box}", ["[1, 2, 300, 400]", "[0, 0, 9, 9]", "[5, 6, 7, 8]"]),
        (
            "{expression}: {box}",
            ["the red circle: [1, 2, 300, 400]", "a {box} of {label}: [0, 0, 9, 9]", ": [5, 6, 7, 8]"],
        ),
        ("at {box}", ["at [1, 2, 300, 400]", "at [0, 0, 9, 9]", "at [5, 6, 7, 8]"]),
    ],
)
def test_templates(template, texts):
    TASK.check_template(template)
    assert TASK.texts(LABELS, template) == texts


@pytest.mark.parametrize("template", ["", "{expression}", "{box} {box}", "{label} {box}", "{box} {x}", "{box}}", "box"])
def test_other_templates_raise(template):
    with pytest.raises(SpecError, match=r"must contain \{label\} \(expression and box\) or \{box\} exactly once"):
        TASK.check_template(template)


def test_a_label_without_a_box_raises():
    with pytest.raises(LabelEncoderError, match=r"label 'the dog' does not end with a box such as \[120"):
        TASK.texts(["the dog"], "{box}")


def test_by_default_the_label_is_the_box_alone():
    (encoder,) = (EncoderSpec.model_validate(encoder) for encoder in TASK.label_encoders)
    texts = TASK.texts(["one thing [1, 2, 3, 4]", "another [1, 2, 3, 4]"], TASK.template)
    assert texts == ["[1, 2, 3, 4]"] * 2
    assert ENCODERS.get(encoder.source)(encoder.name).encode(texts).shape == (2, 24)
