"""Datasets of a spec in any format, of emms or of another package; a broken format does not affect others."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from emms.datasets import FORMATS
from emms.datasets.digits import Digits
from emms.errors import SpecError
from emms.spec import AnyDataset, Spec, load_spec

TINY = '''
from typing import Any, Literal
from pydantic import Field, field_validator
from emms.datasets.base import Dataset

class Tiny(Dataset):
    """Tiny images."""
    format: Literal["tiny"]
    size: int = Field(8, description="Pixels per side.")
    parts: tuple["Part", ...] = ()
    EXTRA
    def listing(self): raise NotImplementedError
    def load(self, record): raise NotImplementedError

class Part(Dataset):
    format: str = "part"
    parts: tuple["Part", ...] = ()
    def listing(self): raise NotImplementedError
    def load(self, record): raise NotImplementedError
'''


def spec(**dataset) -> Spec:
    return load_spec({"dataset": dataset, "models": ["timm:resnet18"]})


def install_tiny(install, extra: str = "", source: str = TINY) -> None:
    install("tiny-images", "[emms.datasets]\ntiny = tiny:Tiny\n", tiny=source.replace("EXTRA", extra))


def formats_in_schema(**how) -> set[str]:
    return set(Spec.model_json_schema(**how)["properties"]["dataset"]["discriminator"]["mapping"])


def test_the_schema_is_the_union_of_all_formats_each_with_its_own_fields():
    schema = Spec.model_json_schema()
    dataset = schema["properties"]["dataset"]
    assert dataset["discriminator"]["propertyName"] == "format"
    assert set(dataset["discriminator"]["mapping"]) == set(FORMATS.names())
    assert {entry["$ref"] for entry in dataset["oneOf"]} == set(dataset["discriminator"]["mapping"].values())
    assert set(schema["$defs"]["ParquetImages"]["properties"]) >= {"path", "image_column", "label_column"}
    assert dataset["description"] == "The samples and their labels."


def test_a_format_of_another_package_is_used_like_a_built_in_one(install):
    install_tiny(install)
    assert formats_in_schema() == formats_in_schema(mode="serialization") == set(FORMATS.names())
    assert Spec.model_json_schema()["$defs"]["Tiny"]["properties"]["size"]["description"] == "Pixels per side."
    there = spec(format="tiny", size=3, parts=[{"parts": [{}]}])
    assert there.dataset.model_dump(mode="json")["parts"][0]["parts"][0]["format"] == "part"
    assert Spec.model_validate(there.model_dump(mode="json")) == there
    assert Spec.model_validate_json(there.model_dump_json()) == there
    assert pickle.loads(pickle.dumps(there)) == there
    with pytest.raises(SpecError, match=r"dataset.sise: unknown key 'sise'; did you mean 'size'\? \(known: format, si"):
        spec(format="tiny", sise=3)
    with pytest.raises(SpecError, match=r"dataset.size: input should be a valid integer.*'x'"):
        spec(format="tiny", size="x")
    with pytest.raises(SpecError, match=r"dataset.parts\[0\].prats: unknown key 'prats'$"):
        spec(format="tiny", parts=[{"prats": 1}])


BROKEN = {
    "an import that fails": "import none_such",
    "no subclass of Dataset": "class Tiny: pass",
    "a type that pydantic does not know": TINY.replace("EXTRA", "thing: FORMATS").replace(
        "from emms.datasets.base", "from emms.datasets import FORMATS\nfrom emms.datasets.base"
    ),
    "methods that are missing": "from emms.datasets.base import Dataset\nclass Tiny(Dataset): pass",
    "a name that is never defined": TINY.replace("EXTRA", "thing: 'NoSuchThing' = None"),
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_format_is_named_and_does_not_affect_others(install, source):
    known = formats_in_schema()
    install_tiny(install, source=source)
    assert formats_in_schema() == formats_in_schema(mode="serialization") == known
    assert spec(format="digits").dataset == Digits()
    with pytest.raises(SpecError, match=r"  dataset: dataset format 'tiny' ") as refused:
        spec(format="tiny")
    assert "from package tiny-images 1.0 (entry point tiny = tiny:Tiny); fix or uninstall" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2
    assert len(FORMATS.broken()) == 1


def test_a_format_without_a_json_schema_is_only_left_out_of_the_schema(install):
    known = formats_in_schema()
    install_tiny(install, "thing: type[Any] | complex = 1j\n    more: Any = Field(default_factory=object)")
    install("more-images", "[emms.datasets]\nmore = more:Tiny\n", more=TINY.replace("EXTRA", "call: type = int"))
    assert formats_in_schema() >= known
    assert spec(format="tiny").dataset.format == "tiny"


def test_a_validator_with_a_bug_is_reported_with_its_format(install):
    install_tiny(
        install, "\n    @field_validator('size')\n    @classmethod\n    def check(cls, size): return {}[size]\n"
    )
    with pytest.raises(
        SpecError, match=r"dataset format 'tiny' fails to read its settings \(KeyError: 5\); .*tiny-images 1.0"
    ):
        spec(format="tiny", size=5)


@pytest.mark.parametrize(
    ("dataset", "complaint"),
    [
        ("photos", r"'photos' has no format; write for example \{format: imagefolder, path: photos\}"),
        ("\x1b[31m", r"'\\x1b\[31m' has no format"),
        (3, "is not a mapping"),
        (None, "is not a mapping"),
        ({}, "has no `format:`"),
        ({"format": 3}, "`format:` must be a name, not 3"),
        ({"format": ["digits"]}, r"`format:` must be a name, not \['digits'\]"),
        ({"format": "digitz"}, "dataset format 'digitz' is unknown; did you mean 'digits'"),
        ({"format": "imagefolder"}, "dataset.path: is required"),
        ({"format": "imagefolder", "path": ""}, "dataset.path: is empty"),
    ],
)
def test_invalid_datasets_raise(dataset, complaint):
    with pytest.raises(SpecError, match=complaint):
        load_spec({"dataset": dataset, "models": ["timm:resnet18"]})


def test_a_dataset_object_is_accepted():
    digits = Digits()
    there = Spec(dataset=digits, models=["timm:resnet18"])
    assert there.dataset is digits
    assert load_spec(there, limit=5).dataset is digits
    assert spec(format="digits") == Spec.model_validate(there.model_dump(mode="json"))


def test_errors_have_the_location_that_they_would_have_in_a_union():
    class Holder(BaseModel):
        dataset: AnyDataset

    assert get_args(AnyDataset)
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"dataset": {"format": "parquet", "path": "", "image_column": [1]}})
    assert {error["loc"] for error in refused.value.errors()} == {("dataset", "path"), ("dataset", "image_column")}


@pytest.mark.parametrize(
    "dataset", [{"format": "torchvision", "name": "DTD", "root": "data"}, {"format": "huggingface", "name": "a/b"}]
)
def test_a_setting_that_is_called_name(dataset):
    there = spec(**dataset)
    assert there.dataset.name == dataset["name"].rpartition("/")[2]
    written = there.model_dump(mode="json")
    assert written["dataset"].items() >= dataset.items()
    assert Spec.model_validate(written) == there
    assert Spec.model_validate_json(there.model_dump_json()) == there
    definitions = Spec.model_json_schema()["$defs"]
    assert "name" in definitions["Torchvision"]["properties"]
