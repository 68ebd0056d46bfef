"""User checkpoints of training frameworks: each network is found, read once, and built once."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from emms import user_cache
from emms.errors import ModelError
from emms.models import architectures, candidate, checkpoints, timm_build
from emms.models.base import View
from emms.spec import ModelSpec
from emms.store import Store
from emms.store.digests import sha256_of

CPU = torch.device("cpu")
NAME = "resnet10t"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    """A small network with five classes and random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return timm.create_model(NAME, num_classes=5).eval()


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EMMS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checkpoints, "_cached", {})


def spec(path: Path, **settings) -> ModelSpec:
    return ModelSpec(source="timm", name=NAME, checkpoint=path, **settings)


def features(path: Path, view: View | None = None) -> torch.Tensor:
    network = candidate(spec(path))
    network.check()
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)
    with torch.inference_mode():
        return network.load(CPU)(batch, [view or network.views()[0]])[0]


@pytest.fixture
def expected(trained, tmp_path) -> torch.Tensor:
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "expected.safetensors")
    return features(tmp_path / "expected.safetensors")


def under(prefix: str, state: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in state.items()}


class Configuration:
    """A class that is pickled together with weights and unknown to other processes."""

    def __init__(self) -> None:
        self.folder = pathlib.Path("runs")


LOSS = {"criterion.weight": torch.ones(5)}
BESIDE = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "config": Configuration()}
OPTIMIZER = {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}}
FORMATS = {
    "a state dict": lambda s: s,
    "timm": lambda s: {"arch": NAME, "state_dict": s, **OPTIMIZER, **BESIDE},
    "model": lambda s: {"model": s, **OPTIMIZER},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": torch.tensor(0.3)},
    "any other key": lambda s: {"weights_of_my_net": s, "step": 7},
    "an average beside the weights": lambda s: {"state_dict": {k: v + 1 for k, v in s.items()}, "state_dict_ema": s},
    "an averaged model": lambda s: {"model": {k: v + 1 for k, v in s.items()}, "model_ema": under("module.", s)},
    "Lightning": lambda s: {"state_dict": {**under("model.", s), **LOSS}, "hyper_parameters": BESIDE},
    "Lightning, compiled": lambda s: {"state_dict": {**under("net._orig_mod.", s), **LOSS}},
    "Lightning, twice": lambda s: {"state_dict": {**under("model.", s), **under("alias.", s)}},
    "DataParallel": lambda s: {"state_dict": under("module.", s)},
    "compiled DataParallel": lambda s: under("_orig_mod.module.", s),
    "FSDP": lambda s: {name.replace("layer1.", "layer1._fsdp_wrapped_module."): t for name, t in s.items()},
    "a prefix of its own": lambda s: under("my.trunk.", s),
    "averaged by torch": lambda s: {**under("module.", s), "n_averaged": torch.tensor(3)},
    "parameters": lambda s: {name: torch.nn.Parameter(t) if t.is_floating_point() else t for name, t in s.items()},
}


@pytest.mark.parametrize("format", FORMATS)
def test_the_network_is_found_in_checkpoints_of_frameworks(format, trained, expected, tmp_path):
    torch.save(FORMATS[format](trained.state_dict()), tmp_path / "mine.ckpt")
    assert torch.equal(features(tmp_path / "mine.ckpt"), expected)


def test_prefixes_are_stripped_in_safetensors_too(trained, expected, tmp_path):
    safetensors.torch.save_file(under("model.", trained.state_dict()), tmp_path / "mine.safetensors")
    assert torch.equal(features(tmp_path / "mine.safetensors"), expected)


def test_the_format_is_recognised_by_content_not_by_name(trained, expected, tmp_path):
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "safe.pth")
    torch.save(trained.state_dict(), tmp_path / "torch.safetensors")
    torch.save(trained.state_dict(), tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("safe.pth", "torch.safetensors", "old.bin"):
        assert torch.equal(features(tmp_path / name), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_computed_in_float32(dtype, trained, tmp_path):
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in trained.state_dict().items()}
    torch.save(state, tmp_path / "half.pth")
    torch.save({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, tmp_path / "single.pth")
    rounded = features(tmp_path / "half.pth")
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, features(tmp_path / "single.pth"))


def test_a_head_of_another_kind_is_left_out_and_there_are_no_logits(trained, expected, tmp_path):
    state = {name: t for name, t in trained.state_dict().items() if not name.startswith("fc.")}
    torch.save({**state, "fc.1.weight": torch.ones(5, 512), "fc.1.bias": torch.ones(5)}, tmp_path / "mine.pth")
    assert torch.equal(features(tmp_path / "mine.pth"), expected)
    with pytest.raises(ModelError, match="has no classifier, so it has no logits"):
        candidate(spec(tmp_path / "mine.pth", pool="logits")).check()


def test_logits_are_those_of_the_checkpoints_own_classifier(trained, tmp_path):
    torch.save({"state_dict": under("model.", trained.state_dict())}, tmp_path / "mine.pth")
    candidate(spec(tmp_path / "mine.pth", pool="logits")).check()
    assert features(tmp_path / "mine.pth", View(None, "logits")).shape == (2, 5)


class Malicious:
    def __init__(self, function=print, argument="pickled code runs") -> None:
        self.call = (function, (argument,))

    def __reduce__(self):
        return self.call


def complaint(path: Path) -> str:
    with pytest.raises(ModelError) as refused:
        candidate(spec(path)).check()
    assert "weights_only" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_nothing_in_a_file_is_executed(trained, expected, tmp_path, capfd):
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Malicious()))
    torch.save({"state_dict": Malicious()}, tmp_path / "print.pth")
    torch.save({"state_dict": trained.state_dict(), "x": Malicious(os.system, "touch ran")}, tmp_path / "system.pth")
    torch.save(trained, tmp_path / "whole.pth")
    torch.save({"x": Malicious()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert "cannot be read as weights alone: it is a pickle of more" in complaint(tmp_path / "pickle.pth")
    assert "it contains Python objects (print)" in complaint(tmp_path / "old.pth")
    assert "cannot be read as weights alone: it contains no named tensors" in complaint(tmp_path / "print.pth")
    assert "it contains Python objects (posix.system)" in complaint(tmp_path / "system.pth")
    assert "save the state dict with safetensors.torch.save_file" in complaint(tmp_path / "whole.pth")
    torch.save({"state_dict": trained.state_dict(), "x": Malicious()}, tmp_path / "beside.pth")
    assert torch.equal(features(tmp_path / "beside.pth"), expected)  # the call is replaced by a placeholder
    assert "pickled code runs" not in capfd.readouterr().out
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is an empty file; save or copy it again"),
        (b"not weights at all, but a text", "it is neither a safetensors file nor one written by torch.save"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer, not the file itself"),
        (b"PK\x03\x04 and no more", "is cut off; copy or download it again"),
        (b"\x80\x02}q\x00.", "cannot be read as weights alone: Invalid magic number"),
        (b"\xff" * 8 + b"{" + b"\xff" * 99, "cannot be read as weights alone"),
    ],
)
def test_files_that_are_not_checkpoints(content, reason, tmp_path):
    (tmp_path / "mine.pth").write_bytes(content)
    assert reason in complaint(tmp_path / "mine.pth")


def test_missing_files_and_folders(tmp_path):
    assert "is a folder; give the path" in complaint(tmp_path)
    assert "does not exist; give the path" in complaint(tmp_path / "none.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    assert "is not a file; give the path" in complaint(tmp_path / "pipe.pth")


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_file(kept, trained, tmp_path):
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "mine.safetensors")
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    for path in (tmp_path / "mine.safetensors", tmp_path / "mine.pth"):
        os.truncate(path, int(path.stat().st_size * kept))
        expected = "is cut off" if path.suffix == ".pth" else "cannot be read as weights alone"
        assert expected in complaint(path)


def test_a_checkpoint_of_another_architecture_names_prefix_and_tensors(tmp_path):
    other = timm.create_model("mobilenetv3_small_050").state_dict()
    torch.save({"state_dict": under("model.", other)}, tmp_path / "mine.ckpt")
    said = complaint(tmp_path / "mine.ckpt")
    assert "without the prefix 'state_dict/model.' of its names, does not fit model 'timm:resnet10t" in said
    assert "lacks" in said
    assert "'conv1.0.weight'" in said
    assert "'conv_stem.weight'" in said
    assert said.endswith("name the architecture it was trained with")


def test_a_tensor_of_another_shape_is_named_with_both(trained, tmp_path):
    wide = trained.state_dict() | {"conv1.0.weight": torch.zeros(24, 4, 3, 3)}
    torch.save(wide, tmp_path / "mine.pth")
    assert (
        "has other shapes in 1 tensor ('conv1.0.weight' of shape (24, 4, 3, 3), not (24, 3, 3, 3)); name"
        in complaint(tmp_path / "mine.pth")
    )


def test_two_networks_in_one_file_are_both_named(trained, tmp_path):
    state = trained.state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({**under("student.", state), **under("teacher.", other)}, tmp_path / "mine.pth")
    assert "contains 2 networks, under 'student.' and 'teacher.'; save the state dict" in complaint(
        tmp_path / "mine.pth"
    )


def test_invalid_values_raise(trained, tmp_path):
    name = "layer1.0.conv1.weight"
    state = {k: v.clone() for k, v in trained.state_dict().items()}
    broken = state[name].clone()
    broken[0, 0, 0, :2] = float("nan")
    torch.save(state | {name: broken, "bn1.running_var": torch.full((64,), float("inf"))}, tmp_path / "nan.pth")
    assert "contains nan or infinity in 2 tensors (first: values 64 of 'bn1.running_var')" in complaint(
        tmp_path / "nan.pth"
    )
    torch.save(state | {name: state[name].to(torch.int8)}, tmp_path / "int8.pth")
    assert f"has int8 values in '{name}'" in complaint(tmp_path / "int8.pth")
    torch.save(state | {name: state[name].to_sparse()}, tmp_path / "sparse.pth")
    assert f"values in '{name}'; save its state dict as dense floats" in complaint(tmp_path / "sparse.pth")


@pytest.fixture
def counted(monkeypatch) -> Counter[str]:
    """Count how often a file of weights is read, and a network with allocated weights is built."""
    counts: Counter[str] = Counter()
    read, build = checkpoints._read, timm_build.build

    def counting_read(path: Path) -> Tensors:
        counts["read"] += 1
        return read(path)

    def counting_build(name: str, weights: Tensors, *rest, **settings) -> torch.nn.Module:
        counts["checked" if any(t.is_meta for t in weights.values()) else "built"] += 1
        return build(name, weights, *rest, **settings)

    monkeypatch.setattr(checkpoints, "_read", counting_read)
    monkeypatch.setattr(timm_build, "build", counting_build)
    return counts


def test_only_mapped_tensors_are_cached(trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(trained.state_dict(), tmp_path / "new.pth")
    for name in ("old.pth", "new.pth"):
        candidate(spec(tmp_path / name)).check()
    assert [path for path, _ in checkpoints._cached] == [str(tmp_path / "new.pth")]


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_checkpoint_at_several_layers_is_read_once_and_built_once_and_then_never(kind, trained, tmp_path, counted):
    path = tmp_path / f"mine.{kind}"
    (safetensors.torch.save_file if kind == "safetensors" else torch.save)(trained.state_dict(), path)
    store = Store(str(tmp_path / "store"))
    models = [spec(path), spec(path, layer="layer2"), spec(path, pool="logits")]

    def run() -> list[dict]:
        """Do what a run does before the first forward pass."""
        for model in models:
            candidate(model, store).check()
        return [(candidate(model, store).check(), candidate(model, store).network(digests))[1] for model in models]

    def digests(paths):
        return [sha256_of(path) for path in paths]

    (network,) = {json.dumps(network) for network in run()}
    loaded = candidate(models[0], store)
    loaded.promised = json.loads(network)
    loaded.load(CPU)
    assert counted == {"read": 1, "checked": 1, "built": 1}
    run()
    assert counted == {"read": 1, "checked": 1, "built": 1}
    user_cache._in_memory.clear()  # as in another process
    run()
    assert counted == {"read": 1, "checked": 1, "built": 1}


def test_another_content_at_the_same_path_is_checked_again(trained, tmp_path, counted):
    path = tmp_path / "mine.pth"
    torch.save(trained.state_dict(), path)
    network = candidate(spec(path))
    network.check()
    promised = network.network(lambda paths: [sha256_of(p) for p in paths])
    torch.save({name: t * float("nan") if "conv" in name else t for name, t in trained.state_dict().items()}, path)
    late = candidate(spec(path))
    late.promised = promised
    with pytest.raises(ModelError, match="has changed during the run; run again"):
        late.load(CPU)
    with pytest.raises(ModelError, match="contains nan or infinity"):
        late.check()
    assert counted["built"] == 0


def test_a_checkpoint_that_is_being_written_is_not_remembered(trained, tmp_path, monkeypatch):
    path = tmp_path / "mine.pth"
    torch.save(trained.state_dict(), path)
    read = checkpoints._read

    def reading_while_writing(path: Path) -> Tensors:
        tensors = {name: tensor.clone() for name, tensor in read(path).items()}
        torch.save({**trained.state_dict(), "more": torch.zeros(9)}, path)
        return tensors

    monkeypatch.setattr(checkpoints, "_read", reading_while_writing)
    assert "is being written; wait until it is complete" in complaint(path)
    assert not (tmp_path / "cache" / "checkpoints").exists()


WARM = """
import sys, json
from emms.models import candidate
from emms.spec import ModelSpec
from emms.store import Store
from emms.store.digests import FileDigests
for layer in (None, "layer2"):
    spec = ModelSpec(source="timm", name="resnet10t", checkpoint=sys.argv[1], layer=layer)
    network = candidate(spec, Store(sys.argv[2]))
    network.check()
    network.network(FileDigests(network.store)), network.preprocessing(), network.sharing(), network.size()
print([name for name in ("timm", "torch", "safetensors") if name in sys.modules])
"""


def test_a_repeated_check_does_not_import_timm_or_torch(trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    store = str(tmp_path / "store")
    architectures._names.cache_clear()  # so that this process writes the cache for the next one
    architectures._measured.cache_clear()
    for layer in (None, "layer2"):
        candidate(spec(tmp_path / "mine.pth", layer=layer), Store(store)).check()
    command = [sys.executable, "-c", WARM, str(tmp_path / "mine.pth"), store]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_checkpoint_that_was_moved_is_still_known(trained, tmp_path, counted):
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    candidate(spec(tmp_path / "mine.pth")).check()
    shutil.copy(tmp_path / "mine.pth", tmp_path / "copy.bin")
    candidate(spec(tmp_path / "copy.bin")).check()
    assert counted["read"] == 1


def test_published_weights_inside_a_dictionary(trained, tmp_path):
    names = set(trained.state_dict())
    torch.save({"state_dict": trained.state_dict(), "loss": torch.tensor(0.1)}, tmp_path / "published.bin")
    assert set(checkpoints.published(checkpoints.read_weights(tmp_path / "published.bin"))) == names
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    assert set(checkpoints.published(checkpoints.read_weights(tmp_path / "model.safetensors"))) == names
