"""Facts about timm's architectures: the shipped ones agree with timm, and are read without importing it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from emms import user_cache
from emms.errors import ModelError
from emms.models import architectures, timm_facts, timm_measure
from emms.models.architectures import Architecture, look_up

SOME = [
    "resnet10t",
    "resnet50.a1_in1k",
    "vit_tiny_patch16_224",
    "vit_small_patch14_dinov2.lvd142m",
    "swin_tiny_patch4_window7_224.ms_in22k",
    "gcvit_tiny.in1k",
    "test_vit",
]


def test_the_shipped_facts_are_those_of_the_version_that_the_tests_run_with():
    if f"timm=={version('timm')}" not in Path("constraints.txt").read_text().splitlines():
        pytest.skip("facts ship for the version in constraints.txt")
    shipped = timm_facts.shipped()
    assert shipped is not None
    assert shipped.names() == timm_measure.list_names()


@pytest.mark.parametrize("name", SOME)
def test_facts_agree_with_timm(name):
    known = look_up(name, name)
    network = timm.create_model(name).eval()
    config = timm.data.resolve_model_data_config(network)
    assert {key: tuple(v) if isinstance(v, list) else v for key, v in known.preprocessing.items()} == config
    assert known.modules == [module for module, _ in network.named_modules() if module]
    assert known.parameters == sum(p.numel() for p in network.parameters())
    with torch.inference_mode():
        features = network.forward_head(
            network.forward_features(torch.zeros(1, *config["input_size"])), pre_logits=True
        )
    assert known.features == features.shape[1]
    assert known.classes == network.num_classes
    assert known.classifier == [network.pretrained_cfg["classifier"]]
    assert known.class_token == (getattr(network, "cls_token", None) is not None)
    assert known.published.get("hf_hub_id") == network.pretrained_cfg.get("hf_hub_id")


def test_multiply_adds_are_those_of_the_layers_formula():
    """Compare with one product per output value and weight of its filter."""
    network, total = timm.create_model("resnet10t").eval(), 0

    def count(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * int(np.prod(module.weight.shape[1:]))

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    known = look_up("resnet10t", "")
    with torch.inference_mode():
        network.forward_features(torch.zeros(1, *known.preprocessing["input_size"]))
    assert known.multiply_adds == total
    assert look_up("resnet50.a1_in1k", "").multiply_adds == pytest.approx(4.1e9, rel=0.01)  # He et al. (2016): 4.1


def test_gathered_facts_are_read_as_measured(tmp_path, monkeypatch):
    timm_facts.write(tmp_path / "facts.xz", timm_facts.gather(["resnet10t", "test_vit", "test_vit.r160_in1k"]))
    monkeypatch.setattr(timm_facts, "FILE", tmp_path / "facts.xz")
    shipped = timm_facts.shipped.__wrapped__()
    assert shipped.names() == ["resnet10t", "test_vit", "test_vit.r160_in1k"]
    facts = timm_measure.weights_facts("test_vit")
    facts |= timm_measure.network_facts("test_vit", facts["preprocessing"]["input_size"])
    assert shipped.of("test_vit") == facts == shipped.of("test_vit.r160_in1k")


@pytest.fixture
def another_timm(monkeypatch, tmp_path):
    """Simulate another version of timm than that of the shipped facts."""
    monkeypatch.setattr(timm_facts, "shipped", lambda: None)
    monkeypatch.setenv("EMMS_CACHE", str(tmp_path / "cache"))
    user_cache._in_memory.clear()
    architectures._names.cache_clear()
    architectures._measured.cache_clear()
    yield tmp_path / "cache"
    architectures._names.cache_clear()
    architectures._measured.cache_clear()


@pytest.mark.parametrize("cache", ["sound", "read-only", "damaged", "not a folder"])
def test_facts_about_another_version_of_timm_are_measured_and_cached(cache, another_timm, monkeypatch):
    by_shipped = timm_facts.Facts(timm_facts.gather(["test_vit"])).of("test_vit")
    if cache == "not a folder":
        another_timm.write_text("")
    if cache == "read-only":
        another_timm.mkdir()
        another_timm.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert look_up("test_vit", "") == Architecture(**by_shipped)
    if cache == "damaged":
        for file in another_timm.rglob("*.json"):
            file.write_bytes(file.read_bytes().replace(b"pos_drop", b"pos_drip").replace(b"resnet5", b"resnet6")[:-9])
    measured = []
    measure = timm_measure.network_facts
    monkeypatch.setattr(timm_measure, "network_facts", lambda *given: measured.append(given) or measure(*given))
    architectures._names.cache_clear()
    architectures._measured.cache_clear()
    user_cache._in_memory.clear()  # as in another process
    assert look_up("test_vit", "") == Architecture(**by_shipped)
    assert len(measured) == (0 if cache == "sound" or (cache == "read-only" and os.geteuid() == 0) else 1)


WITHOUT_TIMM = """
import sys
from emms.models import architectures
from emms.models.timm_network import TimmNetwork
from emms.spec import ModelSpec
assert len(TimmNetwork.names("resnet50*")) > 20
network = TimmNetwork(ModelSpec(source="timm", name="resnet50.a1_in1k", layer="layer3"))
network.check(), network.size(), network.preprocessing(), network.sharing()
for name in ("resnet5O", "resnet50.a1_in2k"):
    try:
        TimmNetwork(ModelSpec(source="timm", name=name)).check()
    except ValueError as unknown:
        print(unknown)
print([name for name in ("timm", "torch") if name in sys.modules])
"""


def test_names_and_facts_do_not_import_timm_or_torch():
    if timm_facts.shipped() is None:
        pytest.skip("facts ship for another version of timm")
    done = subprocess.run([sys.executable, "-c", WITHOUT_TIMM], capture_output=True, text=True, check=True)
    unknown, tag, modules = done.stdout.splitlines()
    assert "'timm:resnet5O' is unknown; did you mean 'resnet50'" in unknown
    assert "resnet50 has no weights tagged 'a1_in2k'; did you mean 'resnet50.a1_in1k'" in tag
    assert modules == "[]"


def test_existing_tags_are_suggested():
    with pytest.raises(ModelError, match=r"resnet10t has no weights tagged 'x'.*\(it has: resnet10t.c3_in1k\)"):
        look_up("resnet10t.x", "m")
    with pytest.raises(ModelError, match=r"cspresnet50d has no weights tagged 'x' \(it has: none\)"):
        look_up("cspresnet50d.x", "m")


def test_concurrent_writes_to_one_entry_are_atomic(tmp_path, monkeypatch):
    monkeypatch.setenv("EMMS_CACHE", str(tmp_path))
    value = {"modules": [f"layer{i}" for i in range(5000)]}

    def write_and_read(_: int) -> object:
        user_cache.write("kind", {"name": "x"}, value)
        user_cache._in_memory.clear()
        return user_cache.read("kind", {"name": "x"})

    with ThreadPoolExecutor(8) as pool:
        assert all(read == value for read in pool.map(write_and_read, range(40)))
    assert len(list(tmp_path.rglob("*"))) == 2  # the folder and one file


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"key": {"name": "x"}}',
        b'{"key": {"name": "x"}, "value": 2, "sha256": ""}',
    ],
)
def test_a_damaged_entry_is_ignored(content, tmp_path, monkeypatch):
    monkeypatch.setenv("EMMS_CACHE", str(tmp_path))
    user_cache.write("kind", {"name": "x"}, 1)
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(content)
    user_cache._in_memory.clear()
    assert user_cache.read("kind", {"name": "x"}) is None
    user_cache.write("kind", {"name": "x"}, 1)
    user_cache._in_memory.clear()
    assert user_cache.read("kind", {"name": "x"}) == 1


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("EMMS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache.folder() == tmp_path / "emms"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache.folder() == tmp_path / ".cache" / "emms"
