"""Networks of transformers, compared with transformers for one sample at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_networks
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import LAYERS, features, network, run, samples

from emms.errors import ModelError
from emms.models.families import FAMILIES
from emms.store import Store
from emms.store.digests import sha256_of

TEXT = ["bert", "roberta", "distilbert", "gpt2", "llama", "t5", "bart"]
IMAGE = ["vit", "dinov2_with_registers", "swin", "swinv2", "convnext", "resnet", "pvt"]
BOTH = ["clip", "siglip", "vilt", "blip"]
PAIR, ALONE, IMAGES, JOINT = ("text", "context"), ("text",), ("image",), ("image", "text")
Tiny = Callable[..., Path]


def digests(paths):
    return [sha256_of(path) for path in paths]


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def inputs_of(kind: str) -> tuple[str, ...]:
    return PAIR if kind in TEXT else IMAGES if kind in IMAGE else JOINT


def tokenizer_of(folder: Path):
    return transformers.AutoTokenizer.from_pretrained(folder)


def pixels_of(folder: Path, sample) -> torch.Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return processor(images=sample.image, return_tensors="pt")["pixel_values"]


@torch.inference_mode()
def one_by_one(embed) -> np.ndarray:
    return np.stack([embed(sample).float().numpy() for sample in samples()])


def read(folder: Path, sample, kind: str) -> dict[str, torch.Tensor]:
    """Return the tokens of a sample as transformers makes them: of a pair if there is a context."""
    texts = [sample.text, sample.context] if sample.context else [sample.text]
    tokens = tokenizer_of(folder)(*texts, return_tensors="pt")
    if not tokens["input_ids"].shape[1]:  # GPT-2 and an empty text
        return {"input_ids": torch.tensor([[3]])}
    return {name: ids.long() for name, ids in tokens.items() if kind == "bert" or name == "input_ids"}


@pytest.mark.parametrize("kind", TEXT)
def test_a_text_network_is_pooled_as_its_family_does(tiny: Tiny, kind: str):
    folder = tiny(kind)
    plain = transformers.AutoModel.from_pretrained(folder).eval()
    plain = plain.get_encoder() if kind in {"t5", "bart"} else plain

    def embed(sample):
        states = plain(**read(folder, sample, kind)).last_hidden_state[0]
        return states[-1] if kind in {"gpt2", "llama"} else states.mean(0)

    candidate = network(folder, *PAIR)
    candidate.check()
    assert candidate.reads == set(PAIR)
    close(features(candidate, samples())[0], one_by_one(embed))


@pytest.mark.parametrize("kind", IMAGE)
@pytest.mark.parametrize("pool", ["auto", "mean"])
def test_an_image_network_is_pooled_as_its_family_does(tiny: Tiny, kind: str, pool: str):
    folder = tiny(kind)
    plain = transformers.AutoModel.from_pretrained(folder).eval()
    prefix = {"vit": 1, "pvt": 1, "dinov2_with_registers": 3}

    def embed(sample):
        output = plain(pixel_values=pixels_of(folder, sample))
        if kind in prefix:
            tokens = output.last_hidden_state[0]
            return tokens[0] if pool == "auto" else tokens[prefix[kind] :].mean(0)
        if pool == "auto":
            return output.pooler_output[0].flatten()
        return (
            output.last_hidden_state[0].flatten(1).mean(1)
            if kind in {"convnext", "resnet"}
            else (output.last_hidden_state[0].mean(0))
        )

    candidate = network(folder, "image", "text", pool=pool)
    candidate.check()
    assert not candidate.ragged
    close(features(candidate, samples())[0], one_by_one(embed))


@pytest.mark.parametrize("inputs", [JOINT, IMAGES, ALONE])
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_dual_encoder_projects_images_and_texts(tiny: Tiny, kind: str, inputs: tuple[str, ...]):
    folder = tiny(kind)
    plain, tokenizer = transformers.AutoModel.from_pretrained(folder).eval(), tokenizer_of(folder)

    def embed(sample):
        settings = {"padding": "max_length"} if kind == "siglip" else {}
        tokens = tokenizer(sample.text, return_tensors="pt", truncation=True, max_length=24, **settings)
        output = plain(input_ids=tokens["input_ids"], pixel_values=pixels_of(folder, sample))
        parts = {"image": output.image_embeds[0], "text": output.text_embeds[0]}
        # transformers normalises both for its similarities.
        return torch.cat([parts[name] for name in inputs])

    candidate = network(folder, *inputs)
    assert candidate.reads == set(inputs)
    found = features(candidate, samples())[0]
    halves = np.split(found, len(inputs), axis=1)
    unit = np.concatenate([half / np.linalg.norm(half, axis=1, keepdims=True) for half in halves], axis=1)
    close(unit, one_by_one(embed))


def test_vilt_reads_images_of_all_shapes_and_pools_as_it_does(tiny: Tiny):
    folder = tiny("vilt")
    plain, tokenizer = transformers.AutoModel.from_pretrained(folder).eval(), tokenizer_of(folder)

    def embed(sample):
        return plain(
            **tokenizer(sample.text, return_tensors="pt"), pixel_values=pixels_of(folder, sample)
        ).pooler_output[0]

    candidate = network(folder, *JOINT)
    assert len({candidate.prepare(sample).image.shape for sample in samples()}) > 1
    close(features(candidate, samples())[0], one_by_one(embed))


def test_vilts_mean_is_over_all_tokens(tiny: Tiny):
    folder = tiny("vilt")
    plain, tokenizer = transformers.AutoModel.from_pretrained(folder).eval(), tokenizer_of(folder)

    def embed(sample):
        tokens = tokenizer(sample.text, return_tensors="pt")
        return plain(**tokens, pixel_values=pixels_of(folder, sample)).last_hidden_state[0].mean(0)

    close(features(network(folder, *JOINT, pool="mean"), samples())[0], one_by_one(embed))


def test_blip_takes_the_first_token_of_the_text_that_attends_to_the_image(tiny: Tiny):
    folder = tiny("blip")
    plain = transformers.BlipForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = tokenizer_of(folder)

    def embed(sample):
        image = plain.vision_model(pixel_values=pixels_of(folder, sample)).last_hidden_state
        ids = tokenizer(sample.text, return_tensors="pt")["input_ids"]
        mask = torch.ones(image.shape[:2], dtype=torch.long)
        output = plain.text_encoder(input_ids=ids, encoder_hidden_states=image, encoder_attention_mask=mask)
        return output.last_hidden_state[0, 0]

    close(features(network(folder, *JOINT), samples())[0], one_by_one(embed))


@pytest.mark.parametrize("kind", [*TEXT, *IMAGE, *BOTH])
def test_layers_are_hidden_states_all_from_one_pass(tiny: Tiny, kind: str):
    folder, count = tiny(kind), 2 if kind in IMAGE[2:] else LAYERS
    best = features(network(folder, *inputs_of(kind), layer="best", pool="mean"), samples())
    assert len(best) == count
    one = network(folder, *inputs_of(kind), layer="2", pool="mean")
    one.check()
    np.testing.assert_array_equal(features(one, samples())[0], best[1])
    if kind in IMAGE[2:]:
        with pytest.raises(ModelError, match="layers of several widths, so they have no mean"):
            network(folder, *inputs_of(kind), layer="mean").check()
    else:
        mean = network(folder, *inputs_of(kind), layer="mean", pool="mean")
        close(features(mean, samples())[0], np.mean(best, axis=0))


def test_a_layer_is_the_hidden_state_of_transformers(tiny: Tiny):
    folder = tiny("bert")
    plain = transformers.AutoModel.from_pretrained(folder).eval()
    for number in range(LAYERS + 1):

        def embed(sample, number=number):
            tokens = read(folder, sample, "bert")
            return plain(**tokens, output_hidden_states=True).hidden_states[number][0].mean(0)

        close(features(network(folder, *PAIR, layer=str(number)), samples())[0], one_by_one(embed))


@pytest.mark.parametrize("kind", [*TEXT, *BOTH])
def test_padding_and_the_order_and_size_of_batches_do_not_change_features(tiny: Tiny, kind: str):
    candidate = network(tiny(kind), *inputs_of(kind), layer="best")
    forward = candidate.load(torch.device("cpu"))
    prepared = [candidate.prepare(sample) for sample in samples()]
    together = run(candidate, forward, prepared)

    @settings(max_examples=5)
    @given(order=st.permutations(range(5)), size=st.integers(1, 5))
    def unchanged(order, size):
        for whole, parts in zip(together, run(candidate, forward, prepared, order, size), strict=True):
            close(parts, whole)

    unchanged()


@pytest.mark.parametrize("kind", tiny_networks.OTHERS)
def test_the_other_families_do_not_depend_on_padding_either(tiny: Tiny, kind: str):
    candidate = network(tiny(kind), "image" if FAMILIES[kind].image else "text", "context", layer="best")
    candidate.check()
    forward = candidate.load(torch.device("cpu"))
    assert forward.parameters == candidate.size().parameters
    prepared = [candidate.prepare(sample) for sample in samples()]
    for whole, alone in zip(run(candidate, forward, prepared), run(candidate, forward, prepared, size=1), strict=True):
        close(alone, whole)
        assert len(np.unique(whole.round(6), axis=0)) == 5


def test_all_families_are_tested():
    built = {*TEXT, *IMAGE, *BOTH, *tiny_networks.OTHERS}
    elsewhere = {"visual_bert", "vision-encoder-decoder", "blip/BlipForConditionalGeneration"}
    assert built | elsewhere == FAMILIES.keys()


@pytest.mark.parametrize("kind", ["bert", "gpt2", "vit", "clip", "vilt"])
def test_bfloat16_is_close_to_float32(tiny: Tiny, kind: str):
    candidate = network(tiny(kind), *inputs_of(kind))
    exact = features(candidate, samples())[0]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = features(candidate, samples())[0]
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.15 * np.abs(exact).max()


@pytest.mark.parametrize("kind", [*TEXT, *IMAGE, *BOTH])
def test_sizes_are_those_of_the_network_that_is_loaded(tiny: Tiny, kind: str):
    for pool in ("auto", "mean"):
        candidate = network(tiny(kind), *inputs_of(kind), pool=pool)
        forward, size = candidate.load(torch.device("cpu")), candidate.size()
        assert forward.parameters == size.parameters
        assert run(candidate, forward, [candidate.prepare(samples()[0])])[0].shape == (1, size.features)


@pytest.mark.parametrize("kind", ["bert", "t5", "vit", "clip"])
def test_an_untrained_network_has_the_weights_of_its_seed(tiny: Tiny, kind: str):
    def control(seed):
        return network(tiny(kind), *inputs_of(kind), pretrained=False, seed=seed)

    state = torch.random.get_rng_state()
    first, again, other = (features(control(seed), samples())[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(state, torch.random.get_rng_state())
    assert control(0).network(digests) == control(0).network(digests) != control(1).network(digests)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(tiny(kind)))
    if kind != "t5":  # of which only the encoder is drawn
        drawn = control(1).load(torch.device("cpu"))
        assert all(torch.equal(drawn._module.state_dict()[name], value) for name, value in plain.state_dict().items())


def test_an_untrained_network_needs_no_weights(tiny: Tiny, tmp_path: Path):
    shutil.copytree(tiny("bert"), tmp_path / "bert", ignore=shutil.ignore_patterns("*.safetensors"))
    control = network(tmp_path / "bert", *PAIR, pretrained=False)
    control.check()
    assert features(control, samples())[0].shape == (5, 16)
    with pytest.raises(ModelError, match=r"has no weights in .*`pretrained: false`"):
        network(tmp_path / "bert", *PAIR).check()


def test_the_key_depends_on_files_and_on_what_is_read(tiny: Tiny, tmp_path: Path):
    folder = tmp_path / "bert"
    shutil.copytree(tiny("bert"), folder)
    one, copy = network(folder, *PAIR), network(tiny("bert"), *PAIR)
    assert one.network(digests) == copy.network(digests)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= one.network(digests)["files"].keys()
    assert one.sharing() == copy.sharing() != network(folder, *ALONE).sharing()
    assert one.preprocessing() != network(folder, *ALONE).preprocessing()
    assert one.preprocessing() != network(folder, *PAIR, "answer_start", windows="answer").preprocessing()
    assert json.loads(json.dumps(one.preprocessing())) == one.preprocessing()
    assert one.sharing() == network(tiny("bert"), *PAIR, pretrained=False).sharing()
    with (folder / "tokenizer.json").open("a") as file:
        file.write("\n")
    changed = network(folder, *PAIR)
    assert changed.network(digests) != copy.network(digests)
    assert changed.sharing() != copy.sharing()


def test_weights_that_have_changed_since_the_key_was_made_are_refused(tiny: Tiny, tmp_path: Path):
    folder = tmp_path / "bert"
    shutil.copytree(tiny("bert"), folder)
    candidate = network(folder, *PAIR)
    candidate.promised = candidate.network(digests)
    candidate.load(torch.device("cpu"))
    tiny_networks.save(folder, transformers.BertModel(tiny_networks.CONFIGS["bert"]()), "vit")
    with pytest.raises(ModelError, match=r"has changed in .*; run again"):
        candidate.load(torch.device("cpu"))


def refused(folder: Path | str, match: str, *inputs: str, **options) -> None:
    with pytest.raises(ModelError, match=match):
        network(folder, *(inputs or PAIR), **options).check()


def test_options_that_do_not_apply_are_refused(tiny: Tiny):
    refused(tiny("bert"), "has no layer 4; it has 1 to 3", layer="4")
    refused(tiny("bert"), "has no layer 'encoder.layer.1'; give the number of a layer", layer="encoder.layer.1")
    refused(tiny("bert"), "has no layer '-1'", layer="-1")
    refused(tiny("bert"), "is used without its classifier, so it has no logits", pool="logits")
    refused(tiny("gpt2"), "has no class token to pool by; use `pool: mean`", pool="token")
    refused(tiny("swin"), "has no class token", *IMAGES, pool="token")
    refused(tiny("clip"), "has no class token", *JOINT, pool="token")
    network(tiny("clip"), *IMAGES, pool="token").check()
    refused(tiny("bart"), r"is no captioner .*no choice of `features:`", features="decoder")
    refused(tiny("vilt"), "reads no passage; remove `windows: answer`", *JOINT, windows="answer")
    refused(tiny("bert"), "cannot load a `checkpoint:`", checkpoint="mine.pth")


def test_incomplete_folders_are_refused(tiny: Tiny, tmp_path: Path):
    refused(tmp_path / "nothing", "does not exist")
    refused(tmp_path, r"has no config\.json")
    for content, match in [
        ("{", "cannot be read"),
        ("[]", "transformers did not write"),
        ("{}", "no `model_type`"),
        (
            '{"model_type": "wav2vec2"}',
            "family 'wav2vec2', for which no use is known; the families .* are albert, bert",
        ),
    ]:
        (tmp_path / "config.json").write_text(content)
        refused(tmp_path, match)
    for lacking, match in [("token*", "has no tokenizer in"), ("*processor*", "has no image processor in")]:
        shutil.copytree(tiny("vilt"), tmp_path / lacking[0], ignore=shutil.ignore_patterns(lacking))
        refused(tmp_path / lacking[0], match, *JOINT)


def test_missing_and_damaged_weights_are_refused(tiny: Tiny, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "bert"
    shutil.copytree(tiny("bert"), folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "layer.1" in name)
    save_file(
        {key: value for key, value in weights.items() if key != name}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelError, match=r"lack 1 tensors .*not those of the network"):
        network(folder, *PAIR).load(torch.device("cpu"))
    save_file({**weights, name: weights[name] * torch.nan}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="contains nan or infinity"):
        network(folder, *PAIR).load(torch.device("cpu"))
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        network(folder, *PAIR).load(torch.device("cpu"))


def test_digests_are_kept_in_the_store(tiny: Tiny, tmp_path: Path):
    from emms.models import candidate
    from emms.spec import ModelSpec

    store = Store(str(tmp_path / "store"))
    spec = ModelSpec(source="folder", name=str(tiny("bert")))
    assert candidate(spec, store, frozenset(PAIR)).sharing() == network(tiny("bert"), *PAIR).sharing()
