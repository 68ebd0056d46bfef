"""Untrained controls: the key of their features contains the digest of their weights, not only the seed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
import timm
import torch

from emms import user_cache
from emms.errors import ModelError
from emms.models import candidate, random_weights, timm_build
from emms.spec import ModelSpec

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EMMS_CACHE", str(tmp_path / "cache"))


def control(seed: int = 0, name: str = "resnet10t"):
    return candidate(ModelSpec(source="timm", name=name, pretrained=False, seed=seed))


def network(seed: int = 0, name: str = "resnet10t") -> dict:
    return control(seed, name).network(lambda paths: pytest.fail("there is no file"))


@pytest.mark.parametrize("name", ["resnet10t", "test_vit", "swin_tiny_patch4_window7_224"])
def test_the_digest_is_that_of_the_weights_that_timm_draws(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        drawn = timm.create_model(name)
    sha256 = hashlib.sha256()
    for key, tensor in sorted([*drawn.named_parameters(), *drawn.named_buffers()], key=lambda pair: pair[0]):
        sha256.update(str([key, str(tensor.dtype), list(tensor.shape)]).replace("'", '"').encode())
        sha256.update(tensor.detach().numpy().tobytes())
    assert network(3, name)["random weights"] == sha256.hexdigest()


def test_the_digest_differs_by_seed_architecture_and_any_value():
    digests = {network(seed, name)["random weights"] for seed in (0, 1) for name in ("resnet10t", "resnet14t")}
    assert len(digests) == 4
    module = timm_build.draw("test_vit")
    before = random_weights.digest_of(module)
    module.blocks[0].norm1.bias.data[3] += 1e-6
    assert random_weights.digest_of(module) != before


def test_another_initialisation_has_another_key(monkeypatch):
    before = network()
    monkeypatch.setattr(random_weights, "version", lambda package: "9.9")
    create = timm.create_model

    def another_initialisation(*given, **settings):
        module = create(*given, **settings)
        for parameter in module.parameters():
            parameter.data *= 2
        return module

    monkeypatch.setattr(timm, "create_model", another_initialisation)
    assert network() != before


def test_a_tag_does_not_change_random_weights():
    assert network(name="resnet50.a1_in1k") == network(name="resnet50")


def test_weights_with_another_digest_raise(monkeypatch):
    loaded = control()
    loaded.promised = network()
    loaded.load(CPU)
    loaded.promised = network(seed=1)
    with pytest.raises(ModelError, match="other random weights than its features are stored under"):
        loaded.load(CPU)


def test_a_wrong_cached_digest_is_corrected():
    right = network()
    key = random_weights._key(control()._control)
    user_cache.write("random weights", key, "0" * 64)
    assert network()["random weights"] == "0" * 64
    with pytest.raises(ModelError, match="run it again"):
        control().load(CPU)
    assert network() == right
    control().load(CPU)


CACHED_DIGEST = """
import sys
from emms.models import candidate
from emms.spec import ModelSpec
network = candidate(ModelSpec(source="timm", name="resnet10t", pretrained=False))
network.check()
print(network.network(None)["random weights"], [name for name in ("timm", "torch") if name in sys.modules])
"""


@pytest.mark.parametrize("capability", [None, "default"])
def test_a_cached_digest_does_not_import_timm_or_torch_and_depends_on_the_processor(capability):
    settings = {"ATEN_CPU_CAPABILITY": capability} if capability else {}
    command = [sys.executable, "-c", CACHED_DIGEST]

    def run() -> list[str]:
        environment = {**os.environ, **settings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split(maxsplit=1)

    (cold, imported), (warm, nothing) = run(), run()
    assert imported == "['timm', 'torch']\n"
    assert (warm, nothing) == (cold, "[]\n")
    if capability is None:
        assert cold == network()["random weights"]
