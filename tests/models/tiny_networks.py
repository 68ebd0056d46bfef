"""Tiny networks of each family with random weights, saved as a user would: network, tokenizer, image processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from emms.models import Candidate, candidate
from emms.models.base import Forward
from emms.spec import ModelSpec

WORDS = "a the of on is what where who red blue green big small cat dog ball box left right ?".split()  # noqa: SIM905
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
LAYERS = 3
LONGEST = 24

_BERT = {"hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 32}
_TEXT = {**_BERT, "vocab_size": len(VOCABULARY), "max_position_embeddings": LONGEST, **IDS}
_ROBERTA = {**_TEXT, "pad_token_id": 1, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
_VIT = {**_BERT, "image_size": 16, "patch_size": 4}
_SWIN = {
    **{"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    "hidden_size": 16,
}
_GPT2 = {"vocab_size": len(VOCABULARY), "n_embd": 16, "n_layer": LAYERS, "n_head": 2, "n_positions": LONGEST}
_T5 = {"vocab_size": len(VOCABULARY), "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": LAYERS, "num_heads": 2}
_BART = {
    **{"vocab_size": len(VOCABULARY), "d_model": 16, "encoder_layers": LAYERS, "decoder_layers": LAYERS, **IDS},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    "max_position_embeddings": LONGEST,
}
_TOWERS = {"text_config": {**_TEXT, "projection_dim": 12}, "vision_config": {**_VIT, "projection_dim": 12}}
_SIGLIP = {"text_config": {**_TEXT, "projection_size": 16}, "vision_config": _VIT}

CONFIGS: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**_TEXT),
    "roberta": lambda: transformers.RobertaConfig(**_ROBERTA),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=len(VOCABULARY), dim=16, n_layers=LAYERS, n_heads=2, hidden_dim=32, max_position_embeddings=LONGEST
    ),
    "gpt2": lambda: transformers.GPT2Config(**_GPT2, bos_token_id=3, eos_token_id=3),
    "llama": lambda: transformers.LlamaConfig(**_TEXT),
    "t5": lambda: transformers.T5Config(**_T5, pad_token_id=0, eos_token_id=3),
    "bart": lambda: transformers.BartConfig(**_BART),
    "vit": lambda: transformers.ViTConfig(**_VIT),
    "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersConfig(
        **{**_VIT, "num_register_tokens": 2, "mlp_ratio": 2}
    ),
    "swin": lambda: transformers.SwinConfig(**_SWIN),
    "swinv2": lambda: transformers.Swinv2Config(**_SWIN),
    "pvt": lambda: transformers.PvtConfig(
        image_size=16,
        num_encoder_blocks=2,
        depths=[1, 1],
        sequence_reduction_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[4, 2],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
    ),
    "convnext": lambda: transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4),
    "resnet": lambda: transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    ),
    "clip": lambda: transformers.CLIPConfig(**_TOWERS, projection_dim=12),
    "siglip": lambda: transformers.SiglipConfig(**_SIGLIP),
    "vilt": lambda: transformers.ViltConfig(**{**_TEXT, **_VIT, "max_image_length": -1}),
    "visual_bert": lambda: transformers.VisualBertConfig(**_TEXT, visual_embedding_dim=2048),
    "blip": lambda: transformers.BlipConfig(
        text_config={**_TEXT, "encoder_hidden_size": 16, "projection_dim": 12, "sep_token_id": 3}, vision_config=_VIT
    ),
}

_DEBERTA = {**_TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
OTHERS: dict[str, dict[str, Any]] = {
    "albert": {**_TEXT, "embedding_size": 16},
    "camembert": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "mpnet": {**_TEXT, "pad_token_id": 1, "max_position_embeddings": LONGEST + 2},
    "deberta": _DEBERTA,
    "deberta-v2": {**_DEBERTA, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "electra": {**_TEXT, "embedding_size": 8},
    "modernbert": {**_TEXT, "cls_token_id": 2, "sep_token_id": 3},
    "bloom": {"vocab_size": len(VOCABULARY), "hidden_size": 16, "n_layer": 2, "n_head": 2, **IDS},
    "gemma3_text": {**_TEXT, "num_key_value_heads": 1, "head_dim": 8},
    "gpt_neo": {
        **{"vocab_size": len(VOCABULARY), "hidden_size": 16, "intermediate_size": 32, "num_layers": 2, "num_heads": 2},
        **{"attention_types": [[["global", "local"], 1]], "window_size": 4, "max_position_embeddings": LONGEST},
        **{"bos_token_id": 3, "eos_token_id": 3},
    },
    "gpt_neox": _TEXT,
    "opt": {**_TEXT, "ffn_dim": 32, "word_embed_proj_dim": 16, "pad_token_id": 1},
    "phi": _TEXT,
    "qwen2": {**_TEXT, "num_key_value_heads": 1},
    "qwen3": {**_TEXT, "num_key_value_heads": 1, "head_dim": 8},
    "mt5": {**_T5, "pad_token_id": 0, "eos_token_id": 3},
    "pegasus": _BART,
    "beit": _VIT,
    "deit": _VIT,
    "dinov2": {**_VIT, "mlp_ratio": 2},
    "convnextv2": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4},
}
"""Settings of further families, which are built from them alone."""

CLASSES = {
    **{"gpt2": "GPT2LMHeadModel", "t5": "T5ForConditionalGeneration", "bart": "BartForConditionalGeneration"},
    **{"llama": "LlamaForCausalLM", "vit": "ViTForImageClassification", "bert": "BertForMaskedLM"},
    **{"blip": "BlipForQuestionAnswering", "visual_bert": "VisualBertForPreTraining"},
}
"""The class that saves a network, where it is not the base class: most checkpoints have a head."""


def tokenizer(template: str = "<s> $A </s>", pair: str = "<s> $A </s> $B:1 </s>:1", **settings: Any) -> Any:
    """Return a tokenizer with a token per word of `WORDS`."""
    words = Tokenizer(WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single=template, pair=pair, special_tokens=[("<s>", 2), ("</s>", 3)])
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **{**special, **settings})


def processor(name: str) -> Any:
    """Return an image processor for images of 16 x 16 pixels; that of ViLT keeps the ratio of width and height."""
    if name == "vilt":
        return transformers.ViltImageProcessor(size={"shortest_edge": 16}, size_divisor=4)
    return transformers.ViTImageProcessor(size={"height": 16, "width": 16})


def spread(network: torch.nn.Module, seed: int = 0) -> None:
    """Give a network larger random weights than by default, with which different inputs look different."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3


def save(folder: Path, network: Any, kind: str) -> Any:
    """Save a network and what its family needs beside it; return the network."""
    spread(network)
    network.eval().save_pretrained(folder)
    types = ["input_ids", "token_type_ids", "attention_mask"]
    if kind in {"gpt2", "llama"}:
        tokens = tokenizer("$A", "$A $B:1", **({"pad_token": None} if kind == "gpt2" else {}))
    elif kind in {"t5", "siglip"}:
        tokens = tokenizer("$A </s>", "$A </s> $B:1 </s>:1")
    else:
        tokens = tokenizer(**({"model_input_names": types} if kind in {"bert", "vilt", "visual_bert"} else {}))
    tokens.save_pretrained(folder)
    processor(kind).save_pretrained(folder)
    return network


def build(folder: Path, kind: str) -> Any:
    """Save a tiny network of a family, and return it."""
    config = CONFIGS[kind]() if kind in CONFIGS else transformers.AutoConfig.for_model(kind, **OTHERS[kind])
    name = CLASSES.get(kind)
    network = getattr(transformers, name)(config) if name else transformers.AutoModel.from_config(config)
    return save(folder, network, kind)


def build_captioner(folder: Path, encoder: str, decoder: str) -> Any:
    """Save a tiny vision encoder-decoder, and return it."""
    image, text = CONFIGS[encoder](), CONFIGS[decoder]()
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(image, text)
    config.decoder_start_token_id, config.pad_token_id = 3, 0
    return save(folder, transformers.VisionEncoderDecoderModel(config=config), "captioner")


@dataclass(frozen=True)
class Fields:
    """A sample with the fields of all tasks."""

    id: str
    image: Image.Image
    text: str
    context: str
    caption: str
    answer_start: int


def samples() -> list[Fields]:
    """Return samples whose texts differ in length, one of them empty, and whose images differ in shape."""
    rng = np.random.default_rng(0)
    passages = [
        "the ball is red",
        "",
        "the big dog is left of the green box",
        "a cat",
        "a small blue ball is on the box",
    ]
    texts = ["what is red ?", "where is the big green ball ?", "who", "a red dog is on the left of the blue box", ""]
    shapes = [(20, 24), (24, 20), (16, 16), (36, 20), (20, 40)]
    return [
        Fields(str(i), Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)), text, passage, text, 4)
        for i, (shape, text, passage) in enumerate(zip(shapes, texts, passages, strict=True))
    ]


def network(folder: Path | str, *inputs: str, **options: Any) -> Candidate:
    """Return the candidate of a folder for samples with these fields."""
    return candidate(ModelSpec(source="folder", name=str(folder), **options), inputs=frozenset(inputs))


def features(network: Candidate, given: Sequence[Any]) -> list[np.ndarray]:
    """Return the features of samples for each view, from one batch."""
    return run(network, network.load(torch.device("cpu")), [network.prepare(sample) for sample in given])


def run(
    network: Candidate, forward: Forward, prepared: Sequence[Any], order: Sequence[int] = (), size: int = 100
) -> list[np.ndarray]:
    """Return the features of prepared samples for each view, run in batches of `size`, in another order if given."""
    order = order or range(len(prepared))
    batches = [[prepared[i] for i in order[start : start + size]] for start in range(0, len(prepared), size)]
    with torch.inference_mode():
        parts = [forward(batch if network.ragged else np.stack(batch), network.views()) for batch in batches]
    back = np.argsort(order)
    return [torch.cat(part).numpy()[back] for part in zip(*parts, strict=True)]
