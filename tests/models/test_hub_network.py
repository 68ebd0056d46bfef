"""Networks of the hub, from its local cache, without a network connection; and VisualBERT, which needs two of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import tiny_networks
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import save_file
from tiny_networks import features, network, samples

from emms.errors import ModelError, UnavailableError
from emms.models import SOURCES, candidate
from emms.models.families import FAMILIES
from emms.spec import ModelSpec
from emms.store.digests import sha256_of

PAIR = ("text", "context")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch) -> Callable[[str], Path]:
    """Return the snapshot folder of a repository in an otherwise empty hub cache, without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def cached(name: str) -> Path:
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs/main").write_text("0" * 40)
        return repository / "snapshots" / ("0" * 40)

    return cached


def hub(name: str, *inputs: str, **options):
    return candidate(ModelSpec(source="hf", name=name, **options), inputs=frozenset(inputs))


def digests(paths):
    return [sha256_of(path) for path in paths]


def test_a_network_in_the_local_cache_is_the_same_as_in_a_folder(tiny, cached):
    shutil.copytree(tiny("clip"), cached("somebody/tiny-clip"))
    here, there = hub("somebody/tiny-clip", "image", "text"), network(tiny("clip"), "image", "text")
    here.check()
    assert here.reads == {"image", "text"}
    assert here.network(digests) == there.network(digests)
    assert here.sharing() == there.sharing()
    np.testing.assert_array_equal(features(here, samples())[0], features(there, samples())[0])
    with pytest.raises(ModelError, match="has no layer 9"):
        hub("somebody/tiny-clip", "image", layer="9").check()


def test_a_network_that_cannot_be_reached_passes_the_check_and_fails_later(cached):
    absent = hub("somebody/absent", *PAIR, layer="3")
    absent.check()
    assert absent.reads == {"text"}
    for needing in (absent.size, lambda: absent.network(digests), absent.preprocessing, absent.sharing):
        with pytest.raises(UnavailableError, match=r"'hf:somebody/absent@3' is not available: .*check its name"):
            needing()


def test_weights_that_are_not_downloaded_yet_are_not_an_error_of_the_network(tiny, cached):
    folder = cached("somebody/tiny-bert")
    shutil.copytree(tiny("bert"), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    partial = hub("somebody/tiny-bert", "text")
    partial.check()
    with pytest.raises(UnavailableError, match="only its configuration is in the local cache"):
        partial.network(digests)
    assert hub("somebody/tiny-bert", "text", pretrained=False).network(digests)


def test_a_well_known_network_is_known_without_a_connection(cached):
    assert hub("openai/clip-vit-base-patch32", "image").reads == {"image"}
    assert hub("dandelin/vilt-b32-mlm", "image").reads == {"image", "text"}
    with pytest.raises(ModelError, match="reads no passage"):
        hub("dandelin/vilt-b32-mlm", "image", "text", windows="answer").check()


def test_well_known_networks_are_listed():
    names = SOURCES.get("hf").names("*clip*")
    assert names == ["openai/clip-vit-base-patch32"]
    assert len(SOURCES.get("hf").names("*")) == len(FAMILIES)


@pytest.fixture
def grid(cached) -> torch.nn.Module:
    """The network of VisualBERT's grid, with random weights, in the hub's cache."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("resnet50").eval()
    folder = cached("timm/resnet50.a1_in1k")
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    return network


@pytest.mark.parametrize("pretrained", [True, False])
def test_visual_bert_reads_the_grid_of_a_resnet_beside_the_text(tiny, grid, pretrained: bool):
    folder = tiny("visual_bert")
    both = network(folder, "image", "text", pretrained=pretrained)
    both.check()
    given = samples()[:3]
    forward = both.load(torch.device("cpu"))
    plain, tokenizer = forward._module, transformers.AutoTokenizer.from_pretrained(folder)
    if not pretrained:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            grid = timm.create_model("resnet50").eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(grid))
    expected = []
    with torch.inference_mode():
        for sample in given:
            cells = grid.forward_features(transform(sample.image)[None]).flatten(2).transpose(1, 2)
            tokens = tokenizer(sample.text, return_tensors="pt")
            expected.append(plain(**tokens, visual_embeds=cells).last_hidden_state[0].mean(0).numpy())
    found = tiny_networks.run(both, forward, [both.prepare(sample) for sample in given])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert "grid" in both.network(digests)
    assert both.size().parameters == forward.parameters


def test_visual_bert_needs_image_and_text(tiny):
    assert network(tiny("visual_bert"), "image").reads == {"image", "text"}
