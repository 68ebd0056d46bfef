"""A wrong spec names the line, the key and the remedy."""

from __future__ import annotations

import pytest

from emms.errors import SpecError
from emms.spec import Spec
from emms.spec.yaml_file import load_spec

GOOD = """\
dataset: {format: digits}
models:
  - timm:resnet50.a1_in1k
  - timm:vit_small_patch16_224@blocks.6
  - {source: timm, name: resnet18, pretrained: false, seed: 3}
estimators: [emms, {name: emms, solver: released}]
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "spec.yaml").write_text(text)
        return str(tmp_path / "spec.yaml")

    return write


def test_a_spec_in_all_its_forms(written):
    spec = load_spec(written(GOOD), limit=100)
    assert [model.id for model in spec.models] == [
        "timm:resnet50.a1_in1k",
        "timm:vit_small_patch16_224@blocks.6",
        "timm:resnet18 (untrained, seed 3)",
    ]
    assert [estimator.id for estimator in spec.estimators] == ["emms", "emms(solver=released)"]
    assert spec.limit == 100
    assert [encoder.id for encoder in spec.label_encoders] == ["packaged:all-minilm-l6-v2", "packaged:glove-6b-50d"]


def test_a_spec_survives_json_both_ways(written):
    spec = load_spec(written(GOOD))
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert load_spec(spec) == spec


def test_a_form_can_be_made_of_it():
    schema = Spec.model_json_schema()
    assert {"dataset", "models", "label_encoders"} <= schema["properties"].keys()
    assert "ImageFolder" in schema["$defs"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("models:", "modles:"), r"line 2, modles: unknown key 'modles'; did you mean 'models'\?"),
        (("seed: 3", "sead: 3"), r"line 5, models\[2\].sead: unknown key 'sead'; did you mean 'seed'\?"),
        (("seed: 3", "seed: three"), r"line 5, models\[2\].seed: .*valid integer.*'three'"),
        (("timm:resnet50.a1_in1k", "resnet50"), r"line 3, models\[0\]: 'resnet50' is not of the form SOURCE:NAME"),
        (("digits", "digitz"), r"line 1, dataset: dataset format 'digitz' is unknown; did you mean 'digits'\?"),
        (("{format: digits}", "{path: x}"), r"line 1, dataset: has no `format:`"),
        (
            ("{format: digits}", "photos"),
            r"line 1, dataset: 'photos' does not say .*\{format: imagefolder, path: photos",
        ),
        (("{format: digits}", "{format: imagefolder, path: ''}"), r"line 1, dataset.path: is empty; name a file"),
        (("{format: digits}", "{format: imagefolder}"), r"dataset.path: is required"),
        (
            ("{format: digits}", "{format: imagefolder, paht: x}"),
            r"dataset.paht: unknown key 'paht'; did you mean 'path'",
        ),
        (("estimators:", "limit: 1\nestimators:"), r"line 6, limit: .*greater than or equal to 2"),
        (
            ("estimators:", "task: image-clasification\nestimators:"),
            r"line 6, task: .*did you mean 'image-classification'",
        ),
        (("estimators:", "label_template: a photo\nestimators:"), r"line 6, label_template: .*\{label\}"),
        (("estimators:", "device: tpu\nestimators:"), r"line 6, device: device 'tpu' is unknown; did you mean 'cpu'"),
        (("estimators:", "device: cuda:x\nestimators:"), r"device 'cuda:x' is unknown.*\(known: auto, cpu, cuda,"),
        (("estimators:", "output: ''\nestimators:"), r"line 6, output: is empty"),
        (("estimators: [", "estimators: emms #"), r"line 6, estimators: must be a list, such as \[emms\]"),
        (("estimators: [", "estimators: [] #"), r"line 6, estimators: is an empty list"),
        (("pretrained: false, seed: 3", "seed: 3"), r"line 5, models\[2\]: has `seed: 3`, .*add `pretrained: false`"),
        (("vit_small_patch16_224@blocks.6", "resnet50.a1_in1k"), r"line 2, models: .*more than once"),
        (("estimators:", "seed: 1\nseed: 2\nestimators:"), r"line 7: key 'seed' stands there twice"),
        (("dataset:", "dataset: ["), r"is not YAML"),
    ],
)
def test_what_is_wrong_is_named(written, change, complaint):
    with pytest.raises(SpecError, match=complaint):
        load_spec(written(GOOD.replace(*change)))


def test_all_faults_are_named_at_once(written):
    with pytest.raises(SpecError, match=r"(?s)line 5, models\[2\].sead.*line 6, limit|line 6, limit.*sead"):
        load_spec(written(GOOD.replace("seed: 3", "sead: 3").replace("estimators:", "limit: x\nestimators:")))


@pytest.mark.parametrize("models", ["[resnet50]", "[{source: timm}]", "resnet50"])
def test_a_fault_is_named_once(written, models):
    with pytest.raises(SpecError) as refused:
        load_spec(written(f"dataset: {{format: digits}}\nmodels: {models}\n"))
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "42"])
def test_a_file_without_keys_is_no_spec(written, text):
    with pytest.raises(SpecError, match="holds no keys"):
        load_spec(written(text))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        load_spec(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SpecError, match="not text in UTF-8"):
        load_spec(tmp_path / "binary")


def test_yaml_cannot_make_python_objects(written):
    with pytest.raises(SpecError, match="is not YAML"):
        load_spec(written("dataset: !!python/object/apply:os.system ['true']\n"))


def test_a_url_with_a_password_is_refused_and_not_repeated(written):
    with pytest.raises(SpecError, match="holds credentials") as refused:
        load_spec(written(GOOD + "store: s3://key:sesame@bucket/x\n"))
    assert "sesame" not in str(refused.value)
