"""Readable names for labels: one per label, all different."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from emms.datasets.class_names import ClassNames, name_folders, name_labels
from emms.datasets.imagefolder import ImageFolder
from emms.errors import DatasetError, SpecError
from emms.spec import load_spec

FOLDERS = ["n01440764", "n02119789"]
NAMES = {"n01440764": "tench", "n02119789": "kit fox"}


def test_without_the_setting_class_names_are_folder_names():
    assert name_folders(FOLDERS, None) == (FOLDERS, [])


def test_a_mapping():
    assert name_folders(FOLDERS, NAMES) == (["tench", "kit fox"], [])
    assert name_labels([FOLDERS], NAMES) == (["tench", "kit fox"], [])


def test_names_are_stripped():
    assert name_folders(["a", "b"], {"a": " cat ", "b": "dog\n"})[0] == ["cat", "dog"]


def test_a_list_for_folders_is_in_sorted_order_with_a_warning():
    names, (note,) = name_folders(FOLDERS, ["tench", "kit fox"])
    assert names == ["tench", "kit fox"]
    assert (
        "in sorted order: 'n01440764' is 'tench', …, 'n02119789' is 'kit fox'; to be sure, give a `folder,name`" in note
    )


def test_a_list_for_folders_must_have_one_name_per_folder():
    with pytest.raises(
        DatasetError, match="has 3 names without labels but there are 2 class folders; such names are assigned"
    ):
        name_folders(FOLDERS, ["tench", "kit fox", "dog"])


def test_a_list_for_numbered_folders_is_indexed_by_number():
    folders = sorted(str(i) for i in range(12))  # 0, 1, 10, 11, 2, …
    names = [f"name {i}" for i in range(12)]
    assert name_folders(folders, names) == ([f"name {folder}" for folder in folders], [])
    assert name_folders(["00", "02"], names)[0] == ["name 0", "name 2"]


def test_numbers_count_from_zero():
    folders = sorted(str(i) for i in range(1, 4))
    with pytest.raises(
        DatasetError, match=r"no name for 1 of 3 labels \('3'\); .*is for the labels 0, 1, …; for other"
    ):
        name_folders(folders, ["a", "b", "c"])


def test_a_list_for_integers():
    assert name_labels([["0", "2"]], ["a", "b", "c"]) == (["a", "c"], [])


def test_integers_that_the_file_names_by_codes(tmp_path):
    codings = [["0", "3"], FOLDERS]
    assert name_labels(codings, {"0": "tench", "3": "kit fox"})[0] == ["tench", "kit fox"]
    assert name_labels(codings, NAMES)[0] == ["tench", "kit fox"]
    mapping = tmp_path / "LOC_synset_mapping.txt"
    mapping.write_text("n01440764 tench\nn01443537 goldfish\nn01484850 shark\nn02119789 kit fox\n")
    assert name_labels(codings, mapping)[0] == ["tench", "kit fox"]


def test_missing_names():
    with pytest.raises(DatasetError) as caught:
        name_folders(["cat", "dog", "fox"], {"cat": "house cat", "dgo": "dog", "fox": " "})
    assert str(caught.value) == (
        "`class_names:` has no name for 2 of 3 labels ('dog', 'fox'); give every label one; did you mean 'dgo'? "
        "(it names 'dgo', which the dataset does not have)"
    )


def test_extra_names_give_a_warning_in_a_spec_and_are_ignored_in_a_file(tmp_path):
    _, notes = name_folders(FOLDERS, {**NAMES, "n09": "x", "n08": "y"})
    assert notes == ["`class_names:` names 'n08', 'n09', which the dataset does not have"]
    (tmp_path / "x.csv").write_text("n01440764,tench\nn02119789,kit fox\nn09,x\n")
    assert name_folders(FOLDERS, tmp_path / "x.csv") == (["tench", "kit fox"], [])


def test_two_labels_with_the_same_name_raise():
    with pytest.raises(
        DatasetError, match="has the name 'crane' for both 'n02012849' and 'n03126707'; give them different names"
    ):
        name_folders(["n02012849", "n03126707"], {"n02012849": "crane", "n03126707": "crane "})


def test_the_setting_in_a_spec(tmp_path):
    spec = """
dataset: {{format: imagefolder, path: ., class_names: {}}}
models: [timm:resnet18]
"""

    def given(text):
        (tmp_path / "spec.yaml").write_text(spec.format(text))
        return load_spec(tmp_path / "spec.yaml").dataset.class_names

    assert given("{0: cat, 1: 747}") == {"0": "cat", "1": "747"}
    assert given("[cat, dog]") == ["cat", "dog"]
    assert given("~/names.csv") == Path.home() / "names.csv"
    assert given("null") is None
    for text, message in (
        ("3", "must be a mapping from labels to names, a list of names, or the path of a file"),
        ("''", "must be a mapping"),
        ("{a: [b]}", r"\['b'\] is not text"),
        ("{a: 1.50}", "1.5 is not text; labels and names must be text, if necessary in quotes"),
        ("[null, a]", "None is not text"),
    ):
        with pytest.raises(
            SpecError, match=rf"^spec '.*' is invalid:\n  line 2, dataset\.class_names: .*{message}[^\n]*$"
        ):
            given(text)


def test_the_setting_survives_json():
    for setting in (NAMES, ["a", "b"], "names.csv"):
        dataset = ImageFolder(path=".", class_names=setting)
        assert ImageFolder.model_validate_json(dataset.model_dump_json()) == dataset


LABEL = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=4)


@given(st.lists(LABEL, unique=True, min_size=1), st.data())
def test_a_mapping_in_any_order_gives_every_label_its_own_name(labels, data):
    labels = sorted(labels)
    names = {label: f"name of {label}" for label in data.draw(st.permutations(labels))}
    assert TypeAdapter(ClassNames).validate_python(names) == names
    assert name_folders(labels, names)[0] == [f"name of {label}" for label in labels]
