"""Texts of labels, and checks of labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.downstream import DOWNSTREAM, check_template, downstream
from emms.downstream.class_labels import spoken_name
from emms.downstream.own_labels import OwnLabels
from emms.errors import DatasetError, LabelEncoderError, SpecError

TEMPLATE = "a photo of a {label}"
CLASSES = downstream("image-classification")


def test_a_class_name_is_inserted_into_the_template():
    assert CLASSES.texts(["cat", "dog"], TEMPLATE) == ["a photo of a cat", "a photo of a dog"]


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
def test_underscores_and_hyphens_in_folder_names_become_spaces(folder, spoken):
    assert spoken_name(folder) == spoken
    assert CLASSES.texts([folder], "{label}!") == [f"{spoken}!"]


@given(st.text())
def test_the_spoken_form_of_a_name_is_stable(label):
    assert spoken_name(spoken_name(label)) == spoken_name(label)


@pytest.mark.parametrize(
    "template",
    ["a photo", "{label} or {label}", "{} {label}", "{label!r}", "{label:>9}", "{{label}}", "{label} {0}", "{label} }"],
)
def test_a_template_with_other_braces_raises(template):
    with pytest.raises(SpecError, match=r"must contain \{label\} exactly once"):
        check_template(template)
    with pytest.raises(SpecError, match=r"must contain \{label\} exactly once"):
        CLASSES.texts(["cat"], template)


def test_two_classes_with_the_same_text_raise():
    with pytest.raises(LabelEncoderError, match="'polar_bear' and 'polar-bear' have the same text 'polar bear'"):
        CLASSES.texts(["cat", "polar_bear", "polar-bear"], TEMPLATE)


def test_a_class_without_text_raises():
    with pytest.raises(LabelEncoderError, match="name of class '__' has no text left"):
        CLASSES.texts(["cat", "__"], TEMPLATE)


def test_an_unknown_task_suggests_a_similar_one():
    assert DOWNSTREAM.names()[0] == "image-classification"
    with pytest.raises(SpecError, match="did you mean 'image-classification'"):
        downstream("image_clasification")


@pytest.mark.parametrize(
    ("labels", "counts", "message"),
    [
        (["a"], [3], r"only one class \('a'\)"),
        (["a", "\t"], [1, 1], r"class name '\\t' is blank"),
        ([" a", "a "], [1, 1], "class names ' a' and 'a ' are the same; rename or merge"),
        (["a", "b"], [1, 0], "class 'b' has no sample; add some"),
    ],
)
def test_unusable_classes_raise(labels, counts, message):
    with pytest.raises(DatasetError, match=message):
        CLASSES.check(labels, np.array(counts))


def test_description_and_inputs_of_a_task():
    assert CLASSES.describe(10, 1797) == "1,797 samples, 10 classes"
    assert CLASSES.inputs() == {"image"}
    assert CLASSES.notes(["cat", "dog"], 3) == []
    (note,) = CLASSES.notes(["cat", "dog"], 2)
    assert "each of the 2 classes has one sample" in note


class Captions(OwnLabels):
    name = "captions"
    throughput = "img/s"
    metric = "CIDEr"


def test_own_labels_are_used_as_texts():
    captions = Captions()
    assert captions.texts(["a  dog", "two\r\n\n dogs"], "{label}") == ["a dog", "two\ndogs"]  # two texts
    assert captions.texts(["a dog\n\na pet "], "see: {label}") == ["see: a dog\nsee: a pet"]
    assert captions.describe(4998, 5000) == "5,000 samples, 4,998 different labels"
    with pytest.raises(DatasetError, match="a label is blank"):
        captions.check(["a dog", " "], np.array([1, 1]))
    with pytest.raises(DatasetError, match="all samples have the same label"):
        captions.check(["a dog"], np.array([2]))


def test_meaningless_class_names_give_a_warning_with_the_remedy():
    (note,) = CLASSES.notes(["n02119789", "n02100735"], 10)
    assert "have no meaning for a text encoder" in note
    assert "class_names" in note
