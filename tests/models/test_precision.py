"""Full precision is set inside the block, in both of torch's interfaces, and restored afterwards."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

from emms.models.precision import full_precision

SETTINGS = {
    "as torch starts": [],
    "all allowed, older interface": [
        "torch.backends.cudnn.allow_tf32 = True",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.backends.cudnn.benchmark = True",
    ],
    "medium": ["torch.set_float32_matmul_precision('medium')"],
    "all allowed, newer interface": ["torch.backends.fp32_precision = 'tf32'"],
    "one operation": ["torch.backends.cuda.matmul.fp32_precision = 'tf32'"],
    "both interfaces against each other": [
        "torch.backends.cudnn.allow_tf32 = True",
        "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    ],
    "inherited": ["torch.backends.cudnn.fp32_precision = 'tf32'", "torch.backends.cudnn.conv.fp32_precision = 'none'"],
    "deterministic": ["torch.backends.cudnn.deterministic = True"],
}
PRECISIONS = [
    "fp32_precision",
    "cudnn.fp32_precision",
    "cudnn.conv.fp32_precision",
    "cudnn.rnn.fp32_precision",
    "cuda.matmul.fp32_precision",
    "mkldnn.fp32_precision",
    "mkldnn.matmul.fp32_precision",
    "mkldnn.conv.fp32_precision",
    "mkldnn.rnn.fp32_precision",
]


def state() -> dict[str, object]:
    """Return the state of all settings."""

    def seen(expression: str) -> object:
        try:
            return eval(expression)
        except RuntimeError:
            return "ambiguous"

    others = ["cudnn.allow_tf32", "cuda.matmul.allow_tf32", "cudnn.benchmark", "cudnn.deterministic"]
    values = {name: seen(f"torch.backends.{name}") for name in [*PRECISIONS, *others]}
    return {**values, "matmul": seen("torch.get_float32_matmul_precision()")}


@pytest.fixture(autouse=True)
def as_torch_starts():
    cudnn = torch.backends.cudnn
    yield
    for name in PRECISIONS:
        exec(f"torch.backends.{name} = 'none'")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "none"
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = True, False, False


@pytest.mark.parametrize("settings", SETTINGS)
def test_precision_is_full_inside_and_restored_afterwards(settings):
    for setting in SETTINGS[settings]:
        exec(setting)
    before = state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with full_precision():
            inside = state()
    assert {inside[name] for name in PRECISIONS if name.count(".") == 2} == {"ieee"}
    assert not inside["cudnn.allow_tf32"]
    assert not inside["cuda.matmul.allow_tf32"]
    assert (inside["cudnn.benchmark"], inside["cudnn.deterministic"], inside["matmul"]) == (False, True, "highest")
    assert state() == before


def test_inherited_settings_are_restored():
    torch.backends.fp32_precision = "tf32"
    with full_precision():
        pass
    torch.backends.fp32_precision = "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_settings_are_restored_after_an_error():
    before = state()
    with pytest.raises(KeyError), full_precision():
        raise KeyError
    assert state() == before


def test_the_last_of_several_threads_restores_the_settings():
    before, entered, leave = state(), threading.Event(), threading.Event()

    def another() -> None:
        with full_precision():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=another)
    with full_precision():
        thread.start()
        assert entered.wait(30)
    assert state()["cudnn.conv.fp32_precision"] == "ieee"
    leave.set()
    thread.join()
    assert state() == before
