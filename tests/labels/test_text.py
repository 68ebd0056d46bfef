"""How a label becomes text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import LabelEncoderError, SpecError
from emms.labels.text import TASKS, check_template, class_text, label_texts

TEMPLATE = "a photo of a {label}"


def test_a_class_name_stands_in_the_template():
    assert label_texts("image-classification", ["cat", "dog"], TEMPLATE) == ["a photo of a cat", "a photo of a dog"]


@pytest.mark.parametrize(
    ("folder", "spoken"),
    [
        ("polar_bear", "polar bear"),
        ("T-shirt/top", "T shirt/top"),
        ("__golden__retriever_", "golden retriever"),
        ("great--white  shark", "great white shark"),
        ("-1", "-1"),
        ("{braces}", "{braces}"),
        ("Bär_グマ", "Bär グマ"),
    ],
)
def test_folder_names_are_read_as_words(folder, spoken):
    assert class_text(folder) == spoken
    assert label_texts("image-classification", [folder], "{label}!") == [f"{spoken}!"]


@given(st.text())
def test_reading_a_name_twice_changes_nothing(label):
    assert class_text(class_text(label)) == class_text(label)


@pytest.mark.parametrize(
    "template",
    ["a photo", "{label} or {label}", "{} {label}", "{label!r}", "{label:>9}", "{{label}}", "{label} {0}", "{label} }"],
)
def test_a_template_with_anything_else_in_braces_is_refused(template):
    with pytest.raises(SpecError, match=r"must hold \{label\} once"):
        check_template(template)
    with pytest.raises(SpecError, match=r"must hold \{label\} once"):
        label_texts("image-classification", ["cat"], template)


def test_two_classes_that_read_the_same_are_named():
    with pytest.raises(LabelEncoderError, match="'polar_bear' and 'polar-bear' both read 'polar bear'"):
        label_texts("image-classification", ["cat", "polar_bear", "polar-bear"], TEMPLATE)


def test_a_class_without_a_name_is_named():
    with pytest.raises(LabelEncoderError, match="class '__' has no name"):
        label_texts("image-classification", ["cat", "__"], TEMPLATE)


def test_an_unknown_task_gets_the_nearest_one_offered():
    assert "image-classification" in TASKS
    with pytest.raises(SpecError, match="did you mean 'image-classification'"):
        label_texts("image_clasification", ["cat"], TEMPLATE)
