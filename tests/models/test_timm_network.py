"""Networks of timm: features equal those of timm; invalid models raise before any network runs."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image

from emms.downstream.image_classification import ImageSample
from emms.errors import ModelError, UnavailableError
from emms.models import candidate
from emms.models.base import View
from emms.spec import ModelSpec

CPU = torch.device("cpu")


def spec(name: str, **settings) -> ModelSpec:
    return ModelSpec(source="timm", name=name, **{"pretrained": False, **settings})


def image(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (90, 120, 3), dtype=np.uint8))


def features(model: ModelSpec, *images: Image.Image) -> np.ndarray:
    network = candidate(model)
    batch = np.stack([network.prepare(ImageSample(str(i), image)) for i, image in enumerate(images)])
    with torch.inference_mode():
        return network.load(CPU)(batch, [network.views()[0]])[0].numpy()


def by_timm(name: str, *images: Image.Image, seed: int = 0) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return the same network and input, created as in timm's documentation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = timm.create_model(name).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    return module, torch.stack([transform(i) for i in images])


@pytest.mark.parametrize(
    "name", ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050", "swin_tiny_patch4_window7_224"]
)
def test_features_are_timms_pooled_pre_logits(name):
    module, inputs = by_timm(name, image())
    with torch.inference_mode():
        expected = module.forward_head(module.forward_features(inputs), pre_logits=True)
    np.testing.assert_allclose(features(spec(name), image()), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert candidate(spec(name)).size()[0] == expected.shape[1]


def test_a_layer_of_a_convolutional_network_is_averaged_over_space():
    module, inputs = by_timm("resnet10t", image())
    with torch.inference_mode():
        x = module.maxpool(module.act1(module.bn1(module.conv1(inputs))))
        expected = module.layer2(module.layer1(x)).mean((2, 3))
    np.testing.assert_allclose(features(spec("resnet10t", layer="layer2"), image()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pool", "take"), [("auto", "token"), ("token", "token"), ("mean", "mean")])
def test_tokens_are_pooled_as_in_the_architecture_by_default(pool, take):
    module, inputs = by_timm("vit_tiny_patch16_224", image())
    with torch.inference_mode():
        tokens = module.blocks[:4](module.norm_pre(module.patch_drop(module._pos_embed(module.patch_embed(inputs)))))
    expected = tokens[:, 0] if take == "token" else tokens[:, 1:].mean(1)
    given = features(spec("vit_tiny_patch16_224", layer="blocks.3", pool=pool), image())
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


def test_maps_with_channels_last_are_averaged_over_space():
    module, inputs = by_timm("swin_tiny_patch4_window7_224", image())
    with torch.inference_mode():
        expected = module.layers[0](module.patch_embed(inputs)).mean((1, 2))
    given = features(spec("swin_tiny_patch4_window7_224", layer="layers.0"), image())
    assert given.shape == (1, 96)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_features_of_an_image_do_not_depend_on_its_batch(name):
    images = [image(seed) for seed in range(9)]
    together = features(spec(name), *images)
    alone = np.concatenate([features(spec(name), i) for i in images])
    assert np.abs(together - alone).max() <= 1e-5 * np.abs(alone).max()


def test_random_weights_depend_on_the_seed_and_leave_torchs_generator_alone():
    state = torch.random.get_rng_state()
    first, again, other = (features(spec("resnet10t", seed=seed), image()) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("classes", [5, 1000, 0])
def test_a_user_checkpoint_can_have_any_number_of_classes(tmp_path, classes):
    torch.manual_seed(1)
    trained = timm.create_model("resnet10t", num_classes=classes)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "mine.safetensors")
    model = spec("resnet10t", pretrained=True, checkpoint=tmp_path / "mine.safetensors")
    candidate(model).check()
    _, inputs = by_timm("resnet10t", image())
    with torch.inference_mode():
        expected = trained.eval().forward_head(trained.forward_features(inputs), pre_logits=True)
    np.testing.assert_allclose(features(model, image()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (spec("resnet5O"), r"'timm:resnet5O.*' is unknown; did you mean 'resnet50'"),
        (spec("resnet50.a1_in2k"), r"has no weights tagged 'a1_in2k'; did you mean 'resnet50.a1_in1k'"),
        (spec("resnet10t", layer="layer9"), r"no module 'layer9'; did you mean 'layer\d'"),
        (spec("resnet10t", pool="token"), "no class token to pool by; use `pool: mean`"),
    ],
)
def test_invalid_models_raise_without_weights(model, complaint):
    with pytest.raises(ModelError, match=complaint):
        candidate(model).check()


def test_weights_are_unavailable_without_the_hub():
    model = candidate(spec("resnet50.a1_in1k", pretrained=True))
    model.check()
    with pytest.raises(UnavailableError, match=r"weights of model 'timm:resnet50.a1_in1k' are not available"):
        model.network(lambda paths: paths)


def test_published_weights_that_are_damaged_or_of_another_network(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    network = candidate(spec("resnet10t", pretrained=True))
    monkeypatch.setattr(type(network), "_weights", lambda self: path)  # as if downloaded from the hub
    safetensors.torch.save_file(timm.create_model("mobilenetv3_small_050").state_dict(), path)
    with pytest.raises(ModelError, match=r"do not fit model 'timm:resnet10t': .*; download them again, or install"):
        network.load(CPU)
    published = timm.create_model("resnet10t").state_dict()
    safetensors.torch.save_file(published | {"bn1.bias": torch.full_like(published["bn1.bias"], np.nan)}, path)
    with pytest.raises(ModelError, match=r"contains nan or infinity in 1 tensor \(first: values 64 of 'bn1.bias'\)"):
        network.load(CPU)


def test_an_unknown_source_is_named():
    with pytest.raises(ModelError, match=r"source of networks 'tim' is unknown; did you mean 'timm'\?"):
        candidate(ModelSpec(source="tim", name="resnet18"))


def test_several_layers_come_from_one_forward_pass():
    network = candidate(spec("resnet10t"))
    forward = network.load(CPU)
    batch = np.stack([network.prepare(ImageSample("0", image()))])
    views = [View(None, "auto"), View("layer1", "auto"), View("layer3", "mean"), View("global_pool", "auto")]
    last, first, third, pooled = forward(batch, views)
    assert [last.shape[1], first.shape[1], third.shape[1], pooled.shape[1]] == [512, 64, 256, 512]
    np.testing.assert_allclose(last.detach(), pooled.detach(), rtol=1e-6)
