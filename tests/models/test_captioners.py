"""Vision encoder-decoders: teacher forcing with the caption, and the image alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_networks
import torch
import transformers
from tiny_networks import VOCABULARY, features, network, samples

from emms.errors import ModelError

Tiny = Callable[..., Path]
ENCODERS, DECODERS = ["vit", "swin", "swinv2"], ["bert", "roberta", "bart", "gpt2"]
START, END = 2, 3
FIRST = 7  # the start token of BLIP's decoder
PARTS = {
    "bert": lambda decoder: decoder.bert.encoder.layer[-1].output.LayerNorm,
    "roberta": lambda decoder: decoder.roberta.encoder.layer[-1].output.LayerNorm,
    "bart": lambda decoder: decoder.model.decoder.layers[-1].final_layer_norm,
    "gpt2": lambda decoder: decoder.transformer.ln_f,
}
"""The LayerNorm whose input the release of EMMS takes (GPT-2 is not in it)."""


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def pixels_of(folder: Path, sample) -> torch.Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return processor(images=sample.image, return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_teacher_forcing_takes_what_enters_the_last_layer_norm(tiny: Tiny, encoder: str, decoder: str):
    folder = tiny(encoder, decoder)
    plain = transformers.VisionEncoderDecoderModel.from_pretrained(folder).eval()
    entering = []
    PARTS[decoder](plain.decoder).register_forward_hook(lambda _module, inputs, _output: entering.append(inputs[0]))
    expected = []
    for sample in samples():
        labels = torch.tensor([[START, *(VOCABULARY[word] for word in sample.caption.split()), END]])
        with torch.inference_mode():
            plain(pixel_values=pixels_of(folder, sample), labels=labels)
        expected.append(entering[-1][0].mean(0).numpy())
    candidate = network(folder, "image", "caption", features="decoder")
    candidate.check()
    assert candidate.reads == {"image", "caption"}
    assert candidate.preprocessing()["part"] == "decoder"
    assert candidate.size().parameters == candidate.load(torch.device("cpu")).parameters
    close(features(candidate, samples())[0], np.stack(expected))


@pytest.mark.parametrize("decoder", ["bert", "bart"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_encoder_alone_is_the_mean_over_its_tokens(tiny: Tiny, encoder: str, decoder: str):
    folder = tiny(encoder, decoder)
    plain = transformers.VisionEncoderDecoderModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = [
            plain.encoder(pixels_of(folder, sample)).last_hidden_state[0].mean(0).numpy() for sample in samples()
        ]
    candidate = network(folder, "image", "caption", features="encoder")
    assert candidate.reads == {"image"}
    close(features(candidate, samples())[0], np.stack(expected))


def test_padding_and_batches_do_not_change_features(tiny: Tiny):
    candidate = network(tiny("swin", "roberta"), "image", "caption", features="decoder", layer="best")
    forward = candidate.load(torch.device("cpu"))
    prepared = [candidate.prepare(sample) for sample in samples()]
    together = tiny_networks.run(candidate, forward, prepared)
    assert len(together) == tiny_networks.LAYERS
    for whole, parts in zip(together, tiny_networks.run(candidate, forward, prepared, [3, 1, 4, 0, 2], 2), strict=True):
        close(parts, whole)


def test_the_caption_matters_for_the_decoder_alone(tiny: Tiny):
    one = samples()[0]
    other = tiny_networks.Fields("other", one.image, "", "", "a cat", 0)
    for part, same in [("encoder", True), ("decoder", False)]:
        first, second = features(network(tiny("vit", "bert"), "image", "caption", features=part), [one, other])[0]
        assert np.allclose(first, second) == same


def test_a_long_caption_is_cut_to_the_positions_of_the_decoder(tiny: Tiny):
    long = tiny_networks.Fields("long", samples()[0].image, "", "", "a red dog " * 30, 0)
    for decoder in DECODERS:
        candidate = network(tiny("vit", decoder), "image", "caption", features="decoder")
        assert candidate.length(candidate.prepare(long)) == tiny_networks.LONGEST
        assert np.isfinite(features(candidate, [long])[0]).all()


def test_an_untrained_captioner(tiny: Tiny):
    for part in ("encoder", "decoder"):
        control = network(tiny("vit", "bert"), "image", "caption", features=part, pretrained=False)
        found = features(control, samples())[0]
        np.testing.assert_array_equal(found, features(control, samples())[0])
        assert not np.allclose(found, features(network(tiny("vit", "bert"), "image", features=part), samples())[0])


def test_layers_of_swin_have_no_mean_but_those_of_its_decoder_do(tiny: Tiny):
    with pytest.raises(ModelError, match="layers of several widths"):
        network(tiny("swin", "bert"), "image", features="encoder", layer="mean").check()
    network(tiny("swin", "bert"), "image", "caption", features="decoder", layer="mean").check()


def blip(folder: Path) -> Path:
    config = tiny_networks.CONFIGS["blip"]()
    config.text_config.bos_token_id = FIRST
    tiny_networks.save(folder, transformers.BlipForConditionalGeneration(config), "captioner")
    return folder


def test_blip_reads_the_caption_after_its_start_token(tmp_path: Path):
    folder = blip(tmp_path)
    plain = transformers.BlipForConditionalGeneration.from_pretrained(folder).eval()
    entering = []
    norm = plain.text_decoder.bert.encoder.layer[-1].output.LayerNorm
    norm.register_forward_hook(lambda _module, inputs, _output: entering.append(inputs[0]))
    expected = []
    for sample in samples():
        ids = torch.tensor([[FIRST, *(VOCABULARY[word] for word in sample.caption.split()), END]])
        with torch.inference_mode():
            plain(pixel_values=pixels_of(folder, sample), input_ids=ids)
        expected.append(entering[-1][0].mean(0).numpy())
    close(features(network(folder, "image", "caption", features="decoder"), samples())[0], np.stack(expected))
    with torch.inference_mode():
        images = [
            plain.vision_model(pixels_of(folder, sample)).last_hidden_state[0].mean(0).numpy() for sample in samples()
        ]
    close(features(network(folder, "image", "caption", features="encoder"), samples())[0], np.stack(images))
