"""The specs of demos."""

import pytest

from emms.downstream import DOWNSTREAM
from emms.errors import SpecError
from flows.demo import DEMO_TASKS, demo_spec


def trained(model):
    """Return the same candidate with pretrained weights."""
    parts = tuple(part.model_copy(update={"pretrained": True}) for part in model.parts)
    return model.model_copy(update={"pair": parts} if model.pair else {"pretrained": True})


def test_every_task_has_a_demo():
    assert {*DEMO_TASKS, "image-classification"} == set(DOWNSTREAM.names())


@pytest.mark.parametrize("task", DEMO_TASKS)
def test_demo_of_a_task(task, tmp_path):
    spec = demo_spec(str(tmp_path / "store"), tmp_path / "out", "cpu", task)
    assert (spec.task, spec.dataset.format, spec.dataset.task, spec.device) == (task, "scenes", task, "cpu")
    assert len(spec.models) >= 6
    assert spec.estimators[0].id == "emms-decoded"


@pytest.mark.parametrize("task", DEMO_TASKS)
def test_each_untrained_control_is_a_copy_of_a_trained_candidate(task, tmp_path):
    models = demo_spec("store", tmp_path, "cpu", task).models
    controls = [model for model in models if not all(part.pretrained for part in model.parts)]
    assert len(controls) >= 2
    for control in controls:
        assert control.id.count("untrained") == len(control.parts)
        assert trained(control) in models


def test_the_demo_without_a_task_is_that_of_digits(tmp_path):
    spec = demo_spec("store", tmp_path, "cpu")
    assert (spec.task, spec.dataset.format, len(spec.models)) == ("image-classification", "digits", 9)
    assert spec.label_template == "a photo of the number {label}"
    assert [estimator.id for estimator in spec.estimators] == ["emms-decoded", "emms", "logme"]


def test_a_task_without_a_demo(tmp_path):
    with pytest.raises(SpecError, match="task 'image-captionin' has no demo; did you mean 'image-captioning'"):
        demo_spec("store", tmp_path, "cpu", "image-captionin")
