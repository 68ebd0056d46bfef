"""Families of transformers' networks: what each reads, and how its outputs become features. A new one is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from emms.errors import ModelError

Pooling = Literal["mean", "token", "last", "own"]
"""From token vectors to one vector: the mean over tokens (without padding), the class token, the last token, or what
the network itself does: its pooler, or its projection into a space that images and texts share."""

CAPTIONER_FEATURES: Literal["encoder", "decoder"] = "encoder"
"""The part of a captioner that `features: auto` stands for. The decoder has read the caption, which is the label: its
features score as high with the images of other samples (`benchmarks/captioners.py`)."""

MEAN = "mean"
"""The layer that stands for the mean over all layers."""


class Kind(StrEnum):
    """What a network consists of."""

    TEXT_ENCODER = "text encoder"
    TEXT_DECODER = "text decoder"
    TEXT_ENCODER_DECODER = "text encoder-decoder"
    IMAGE_ENCODER = "image encoder"
    DUAL_ENCODER = "dual encoder"
    FUSED_ENCODER = "fused image and text encoder"
    CAPTIONER = "vision encoder-decoder"


TEXT_KINDS = {Kind.TEXT_ENCODER, Kind.TEXT_DECODER, Kind.TEXT_ENCODER_DECODER}


@dataclass(frozen=True)
class Part:
    """How the outputs of one part of a network are pooled."""

    pool: Pooling = "mean"
    """Default pooling of the last output."""
    inner: Pooling | None = None
    """Default pooling of other layers; None: as the last output."""
    class_token: bool = False
    """Whether the first token is a class token."""
    prefix: int = 0
    """Number of class and register tokens before the patches of an image, which are not in the mean."""


@dataclass(frozen=True)
class Family:
    """What is to know about the networks of one `model_type`."""

    kind: Kind
    example: str
    """A well-known checkpoint on the hub."""
    text: Part | None = None
    """The part that reads text, or image and text together."""
    image: Part | None = None
    """The part that reads images."""
    classes: tuple[str, ...] = ("AutoModel",)
    """The class in transformers: that which config.json names if it is among these, else the first."""
    positions_from_padding: bool = False
    """Whether the first position is that after the padding token's id, so that fewer tokens fit than positions."""
    full_length: bool = False
    """Whether texts are padded to the maximum length and read without a mask, as in training."""
    replaces_first_token: bool = False
    """Whether a decoder's start token takes the place of the tokenizer's first token; else it is put before it."""
    grid: str | None = None
    """The timm network whose last feature map, as a grid of tokens, is this network's input for images."""

    def reads(self, inputs: frozenset[str], features: str) -> frozenset[str]:
        """Return the fields that a network reads of samples with these fields.

        features: the part of an encoder-decoder.

        If samples have too few fields for it, returns those that it needs.
        """
        choices = self._choices(features)
        return next((choice for choice in choices if choice <= inputs), choices[-1])

    def _choices(self, features: str) -> list[frozenset[str]]:
        pair, text, image = frozenset({"text", "context"}), frozenset({"text"}), frozenset({"image"})
        match self.kind:
            case Kind.IMAGE_ENCODER:
                return [image]
            case Kind.DUAL_ENCODER:
                return [image | text, image, pair, text, image | text]
            case Kind.FUSED_ENCODER:
                return [image | text]
            case Kind.CAPTIONER:
                return [image if features == "encoder" else image | {"caption"}]
            case _:
                return [pair, text]

    def network(self, config: Mapping[str, Any]) -> str:
        """Return the name of the class in transformers that loads a network with this config.json."""
        named = (config.get("architectures") or [None])[0]
        return named if named in self.classes else self.classes[0]


_TEXT = Part("mean", class_token=True)
_MEAN = Part("mean")
_CAUSAL = Part("last")
_VIT = Part("token", class_token=True, prefix=1)
_MAP = Part("own", inner="mean")


def _encoder(example: str, part: Part = _TEXT, **quirks: Any) -> Family:
    return Family(Kind.TEXT_ENCODER, example, text=part, **quirks)


def _decoder(example: str) -> Family:
    return Family(Kind.TEXT_DECODER, example, text=_CAUSAL)


def _encoder_decoder(example: str, **quirks: Any) -> Family:
    return Family(Kind.TEXT_ENCODER_DECODER, example, text=_MEAN, **quirks)


def _image(example: str, part: Part = _VIT, **quirks: Any) -> Family:
    return Family(Kind.IMAGE_ENCODER, example, image=part, **quirks)


FAMILIES: dict[str, Family] = {
    "albert": _encoder("albert/albert-base-v2"),
    "bert": _encoder("google-bert/bert-base-uncased"),
    "camembert": _encoder("almanach/camembert-base", positions_from_padding=True),
    "deberta": _encoder("microsoft/deberta-base"),
    "deberta-v2": _encoder("microsoft/deberta-v3-base"),
    "distilbert": _encoder("distilbert/distilbert-base-uncased"),
    "electra": _encoder("google/electra-base-discriminator"),
    "modernbert": _encoder("answerdotai/ModernBERT-base"),
    "mpnet": _encoder("microsoft/mpnet-base", positions_from_padding=True),
    "roberta": _encoder("FacebookAI/roberta-base", positions_from_padding=True),
    "xlm-roberta": _encoder("FacebookAI/xlm-roberta-base", positions_from_padding=True),
    "bloom": _decoder("bigscience/bloom-560m"),
    "gemma3_text": _decoder("google/gemma-3-270m"),
    "gpt2": _decoder("openai-community/gpt2"),
    "gpt_neo": _decoder("EleutherAI/gpt-neo-125m"),
    "gpt_neox": _decoder("EleutherAI/pythia-160m"),
    "llama": _decoder("HuggingFaceTB/SmolLM2-135M"),
    "opt": _decoder("facebook/opt-125m"),
    "phi": _decoder("microsoft/phi-1_5"),
    "qwen2": _decoder("Qwen/Qwen2.5-0.5B"),
    "qwen3": _decoder("Qwen/Qwen3-0.6B"),
    "bart": _encoder_decoder("facebook/bart-base"),
    "mt5": _encoder_decoder("google/mt5-small", classes=("MT5EncoderModel",)),
    "pegasus": _encoder_decoder("google/pegasus-xsum"),
    "t5": _encoder_decoder("google-t5/t5-base", classes=("T5EncoderModel",)),
    "beit": _image("microsoft/beit-base-patch16-224", Part("mean", class_token=True, prefix=1)),
    "convnext": _image("facebook/convnext-tiny-224", _MAP),
    "convnextv2": _image("facebook/convnextv2-tiny-22k-224", _MAP),
    "deit": _image("facebook/deit-base-distilled-patch16-224", Part("token", class_token=True, prefix=2)),
    "dinov2": _image("facebook/dinov2-base"),
    "dinov2_with_registers": _image("facebook/dinov2-with-registers-base"),
    "pvt": _image("Zetatech/pvt-tiny-224", Part("token", inner="mean", class_token=True, prefix=1)),
    "resnet": _image("microsoft/resnet-50", _MAP),
    "swin": _image("microsoft/swin-tiny-patch4-window7-224", _MAP),
    "swinv2": _image("microsoft/swinv2-tiny-patch4-window8-256", _MAP),
    "vit": _image("google/vit-base-patch16-224"),
    "clip": Family(
        Kind.DUAL_ENCODER,
        "openai/clip-vit-base-patch32",
        text=Part("own", inner="last"),
        image=Part("own", inner="token", class_token=True, prefix=1),
    ),
    "siglip": Family(
        Kind.DUAL_ENCODER,
        "google/siglip-base-patch16-224",
        text=Part("own", inner="last"),
        image=_MAP,
        full_length=True,
    ),
    "blip": Family(
        Kind.FUSED_ENCODER,
        "Salesforce/blip-vqa-base",
        text=Part("token", class_token=True),
        classes=("BlipForImageTextRetrieval", "BlipForQuestionAnswering"),
    ),
    "vilt": Family(Kind.FUSED_ENCODER, "dandelin/vilt-b32-mlm", text=Part("own", inner="token", class_token=True)),
    # Trained with 36 regions of a detector (2,048 values each); the grid of a ResNet-50 (7 x 7 cells, as many values)
    # stands in for them.
    "visual_bert": Family(Kind.FUSED_ENCODER, "uclanlp/visualbert-vqa-coco-pre", text=_TEXT, grid="resnet50.a1_in1k"),
    "vision-encoder-decoder": Family(
        Kind.CAPTIONER,
        "nlpconnect/vit-gpt2-image-captioning",
        text=_MEAN,
        image=_MEAN,
        classes=("VisionEncoderDecoderModel",),
    ),
    "blip/BlipForConditionalGeneration": Family(
        Kind.CAPTIONER,
        "Salesforce/blip-image-captioning-base",
        text=_MEAN,
        image=_MEAN,
        classes=("BlipForConditionalGeneration",),
        replaces_first_token=True,
    ),
}
"""Families by `model_type`; `model_type/class` where networks of one type differ by the class in config.json."""


def family_of(config: Mapping[str, Any], shown_as: str) -> Family:
    """Return the family of a network with this config.json.

    Networks with a vocabulary but without a row are text networks: decoders if they are causal language models,
    encoder-decoders if they say so, and else encoders. shown_as: the model's name in messages.

    Raises ModelError for other types without a row.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise ModelError(
            f"model '{shown_as}' has no `model_type` in its config.json; give a folder written by transformers' "
            f"save_pretrained"
        )
    named = (config.get("architectures") or [None])[0]
    if row := FAMILIES.get(f"{kind}/{named}") or FAMILIES.get(kind):
        return row
    if "vocab_size" not in config or {"vision_config", "audio_config"} & config.keys():
        raise ModelError(
            f"model '{shown_as}' is of the family '{kind}', for which no use is known; "
            f"the families with a known use are {', '.join(key for key in FAMILIES if '/' not in key)}"
        )
    if config.get("is_encoder_decoder"):
        return _encoder_decoder(shown_as)
    causal = isinstance(named, str) and named.endswith(("ForCausalLM", "LMHeadModel"))
    return _decoder(shown_as) if causal else _encoder(shown_as, _MEAN)
