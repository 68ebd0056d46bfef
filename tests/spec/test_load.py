"""Errors about a spec name the line, the key and the remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import SpecError
from emms.spec import Spec, load_spec

GOOD = """\
dataset: {format: digits}
models:
  - timm:resnet50.a1_in1k
  - timm:vit_small_patch16_224@blocks.6
  - {source: timm, name: resnet18, pretrained: false, seed: 3}
estimators: [emms, {name: emms, solver: released}]
"""

GOOD_MAPPING = {"dataset": {"format": "digits"}, "models": ["timm:resnet18"]}


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "spec.yaml").write_text(text)
        return str(tmp_path / "spec.yaml")

    return write


def test_a_spec_with_all_forms_of_entries(written):
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


def test_overrides_replace_keys_and_have_no_line(written):
    file = written(GOOD + "limit: many\n")
    assert load_spec(file, limit=7, seed=3).limit == 7
    with pytest.raises(SpecError, match=r"\n  limit: input should be greater"):
        load_spec(file, limit=1)
    spec = load_spec(GOOD_MAPPING, limit=8)
    assert load_spec(spec, seed=5) == load_spec({**GOOD_MAPPING, "limit": 8, "seed": 5})
    assert load_spec(spec, limit=None).limit is None


@pytest.mark.parametrize("source", [None, 5, ["dataset"], b"spec.yaml"])
def test_what_a_spec_can_be_loaded_from(source):
    with pytest.raises(SpecError, match=f"path of a YAML file, not {type(source).__name__}"):
        load_spec(source)


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
            r"line 1, dataset: 'photos' has no format; .*\{format: imagefolder, path: photos",
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
        (("vit_small_patch16_224@blocks.6", "resnet50.a1_in1k"), r"line 2, models: .*name of more than one entry"),
        (("estimators:", "seed: 1\nseed: 2\nestimators:"), r"line 7: key 'seed' is already in this mapping"),
        (("estimators: [", "estimators: [{name: emms, alpha: .nan}, "), r"line 6, estimators\[0\]: setting 'alpha'"),
        (("seed: 3", 'alias: "a\\tb"'), r"line 5, models\[2\].alias: contains characters that cannot be printed"),
        (("estimators:", 'store: "a\u202eb"\nestimators:'), r"line 6, store: .*cannot be printed"),
        (("estimators:", "output: ~no-such-user/x\nestimators:"), r"line 6, output: is in the home .*~no-such-user"),
        (("dataset:", "dataset: ["), r"is not YAML"),
    ],
)
def test_faults_are_reported_with_line_and_key(written, change, complaint):
    with pytest.raises(SpecError, match=complaint):
        load_spec(written(GOOD.replace(*change)))


def test_all_faults_are_reported_at_once(written):
    with pytest.raises(SpecError, match=r"(?s)line 5, models\[2\].sead.*line 6, limit|line 6, limit.*sead"):
        load_spec(written(GOOD.replace("seed: 3", "sead: 3").replace("estimators:", "limit: x\nestimators:")))


@pytest.mark.parametrize("models", ["[resnet50]", "[{source: timm}]", "resnet50"])
def test_a_fault_is_reported_once(written, models):
    with pytest.raises(SpecError) as refused:
        load_spec(written(f"dataset: {{format: digits}}\nmodels: {models}\n"))
    assert len(str(refused.value).splitlines()) == 2


def test_only_the_first_of_many_faults_are_listed(written):
    with pytest.raises(SpecError) as refused:
        load_spec(written(GOOD + "".join(f"key{i}: 1\n" for i in range(500))))
    lines = str(refused.value).splitlines()
    assert len(lines) == 22
    assert "key0" in lines[1]
    assert lines[-1] == "  and 480 more"


def test_a_fault_in_a_merged_mapping_is_reported_at_its_own_line(written):
    text = "dataset: {format: digits}\nmodels:\n- &a {source: timm, name: x,\n   sead: 1}\n- {<<: *a, name: y}\n"
    with pytest.raises(SpecError, match=r"line 4, models\[0\].sead(?s:.*)line 4, models\[1\].sead"):
        load_spec(written(text))


def test_values_in_messages_are_escaped_and_shortened():
    evil = "\x1b]0;title\x07\u202e\n" * 1000
    wrong = {
        evil: 1,
        "dataset": {"format": evil},
        "models": [evil, {"source": evil, "name": evil, evil: evil, "checkpoint": evil, "alias": evil}],
        "label_encoders": [evil, {"source": "hf", "name": "x", "pooling": evil}],
        "label_template": evil,
        "estimators": [{"name": evil}, {"name": "emms", evil: {1, 2}}],
        "task": evil,
        "device": evil,
        "dtype": evil,
        "seed": evil,
        "limit": -(10**5000),
        "store": evil,
    }
    with pytest.raises(SpecError) as refused:
        load_spec(wrong)
    lines = str(refused.value).split("\n")
    assert len(lines) >= 15
    assert all(line.isprintable() and len(line) < 4000 for line in lines), lines
    assert "such a large number" in str(refused.value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["format", "path", "name", "source", "alias"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(Spec.model_fields)) | st.text(st.characters()), json_like))
def test_any_mapping_gives_a_spec_or_a_spec_error(content):
    for mapping in (content, {**GOOD_MAPPING, **content}):
        try:
            outcome = load_spec(mapping)
        except SpecError as error:
            outcome = str(error)
        if isinstance(outcome, Spec):
            assert Spec.model_validate(outcome.model_dump(mode="json")) == outcome
        else:
            assert outcome.replace("\n", "").isprintable()


def test_a_url_with_a_password_raises_without_repeating_it(written):
    with pytest.raises(SpecError, match="contains credentials") as refused:
        load_spec(written(GOOD + "store: s3://key:sesame@bucket/x\n"))
    assert "sesame" not in str(refused.value)
