"""Label encoders and estimators in a spec."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from emms.spec import EncoderSpec, EstimatorSpec


@pytest.mark.parametrize("folder", ["./mine", "../mine", "/data/mine", "~/mine"])
def test_a_path_is_a_folder_and_anything_else_is_source_and_name(folder):
    assert EncoderSpec.model_validate(folder) == EncoderSpec(source="folder", name=folder)
    hub = EncoderSpec.model_validate("hf:openai/clip-vit-large-patch14")
    assert hub == EncoderSpec(source="hf", name="openai/clip-vit-large-patch14")
    assert EncoderSpec(source="hf", name="gpt2", pooling="mean").id == "hf:gpt2 (pooling mean)"
    with pytest.raises(ValidationError, match="neither SOURCE:NAME"):
        EncoderSpec.model_validate("bert")


def test_settings_of_an_estimator_are_its_other_fields():
    spec = EstimatorSpec.model_validate({"name": "emms", "solver": "released", "folds": 3})
    assert spec.settings == {"solver": "released", "folds": 3}
    assert spec.id == "emms(folds=3, solver=released)"
    assert EstimatorSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert EstimatorSpec.model_validate("emms").id == "emms"


@pytest.mark.parametrize("value", [float("nan"), [1.0, float("inf")], np.int64(3), {1, 2}, len])
def test_a_setting_that_is_not_json_raises(value):
    with pytest.raises(ValidationError, match="setting 'alpha' cannot be written as JSON"):
        EstimatorSpec(name="emms", alpha=value)


def test_an_id_is_one_printable_line():
    assert EstimatorSpec(name="emms", note="two\nlines").id == r"emms(note=two\nlines)"
