"""How to use a text encoder, from the files in its folder: which network, which pooling, maximum length of a text.

Reads only JSON, no weights, and does not import transformers, so that looking up artifacts in the store is quick.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emms.errors import LabelEncoderError

# The class of the part that reads text, the only one loaded, of networks that have other parts.
_TEXT_TOWERS = {
    "clip": "CLIPTextModelWithProjection",
    "clip_text_model": "CLIPTextModel",
    "metaclip_2": "MetaClip2TextModelWithProjection",
    "siglip": "SiglipTextModel",
    "siglip_text_model": "SiglipTextModel",
    "siglip2": "Siglip2TextModel",
    "siglip2_text_model": "Siglip2TextModel",
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
}

# Causal networks: recognised by the name of their architecture, or, without a head, by their family.
_DECODER_ENDINGS = ("ForCausalLM", "LMHeadModel")
_DECODER_FAMILIES = ("bloom", "falcon", "gemma", "gpt", "llama", "mistral", "olmo", "openai-gpt", "opt", "phi", "qwen")

_SENTENCE_POOLINGS = {"mean": "mean", "cls": "cls", "lasttoken": "last"}


@dataclass(frozen=True)
class Recipe:
    """How a text becomes its embedding, apart from weights and tokenizer."""

    network: str
    """The class in transformers."""
    pooling: str
    """`mean`, `cls` or `last` of the token vectors; `own`: the network's own embedding of a text."""
    normalize: bool = False
    """Whether embeddings have length 1."""
    padded: bool = False
    """Whether every text is padded to the maximum length, without an attention mask, as in SigLIP's training."""
    max_length: int | None = None
    """Maximum number of tokens, if less than the network and its tokenizer allow."""
    lower_case: bool = False


def read_recipe(folder: Path, pooling: str) -> Recipe:
    """Return how to use the text encoder in `folder`.

    `pooling` is `auto` or overrides the default pooling:

    - CLIP, SigLIP and similar: the projection of the text into the space shared with images.
    - sentence-transformers: as in `modules.json` and `1_Pooling/config.json`, with their normalisation.
    - decoders such as GPT-2: the last token, the only one that attends to the entire text.
    - all others, including the encoders of encoder-decoders such as T5: the mean over tokens.

    Raises LabelEncoderError if the folder is not that of a text encoder, or if it does not support the pooling.
    """
    try:
        return _recipe(folder, pooling)
    except (AttributeError, IndexError, KeyError, TypeError) as cause:
        raise LabelEncoderError(
            f"label encoder folder '{folder}' contains JSON that transformers did not write: {cause!r}; "
            f"copy the folder again"
        ) from cause


def _recipe(folder: Path, pooling: str) -> Recipe:
    config = _read(folder, "config.json")
    if config is None or "model_type" not in config:
        raise LabelEncoderError(
            f"label encoder folder '{folder}' has no config.json with a model_type; "
            f"give a folder written by transformers' save_pretrained"
        )
    family, architecture = config["model_type"], (config.get("architectures") or ["AutoModel"])[0]
    network = _TEXT_TOWERS.get(family, "AutoModel")
    if architecture == "CLIPTextModelWithProjection":
        network = architecture
    own = family in _TEXT_TOWERS and not network.endswith("EncoderModel")
    decoder = family.startswith(_DECODER_FAMILIES) or architecture.endswith(_DECODER_ENDINGS)
    if own and pooling != "auto":
        raise LabelEncoderError(
            f"label encoder '{folder}' ({family}) has its own embedding of a text; leave `pooling` at auto"
        )
    if decoder and pooling == "cls":
        raise LabelEncoderError(
            f"label encoder '{folder}' ({family}) reads left to right, so its first token has no information on the "
            f"text; use pooling last or mean"
        )
    configured, normalize = _sentence_transformers(folder, pooling)
    automatic = "own" if own else configured or ("last" if decoder else "mean")
    limits = _read(folder, "sentence_bert_config.json") or {}
    return Recipe(
        network=network,
        pooling=automatic if pooling == "auto" else pooling,
        normalize=normalize,
        padded=network.startswith("Siglip"),
        max_length=limits.get("max_seq_length"),
        lower_case=bool(limits.get("do_lower_case")),
    )


def _sentence_transformers(folder: Path, pooling: str) -> tuple[str | None, bool]:
    """Return the pooling configured in a sentence-transformers folder, None otherwise, and whether it normalises."""
    modules = _read(folder, "modules.json")
    if modules is None:
        return None, False
    paths = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    unknown = paths.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown or paths.get("Transformer") != "":
        raise LabelEncoderError(
            f"label encoder '{folder}' is a sentence-transformers folder with unsupported modules "
            f"({', '.join(paths)}); supported are Transformer, Pooling and Normalize, "
            f"with the Transformer in the top folder"
        )
    if "Pooling" not in paths:
        return None, "Normalize" in paths
    config = _read(folder, f"{paths['Pooling']}/config.json") or {}
    modes = config.get("pooling_mode") or [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, on in config.items()
        if key.startswith("pooling_mode_") and on
    ]
    mode = modes if isinstance(modes, str) else "+".join(modes) or "mean"
    if mode not in _SENTENCE_POOLINGS and pooling == "auto":
        raise LabelEncoderError(
            f"label encoder '{folder}' is configured for pooling '{mode}', which is not supported; "
            f"choose one with `pooling: mean`, cls or last"
        )
    return _SENTENCE_POOLINGS.get(mode), "Normalize" in paths


def _read(folder: Path, name: str) -> Any:
    """Return the content of a JSON file, None if it does not exist."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:
        raise LabelEncoderError(
            f"label encoder file '{folder / name}' cannot be read: {cause}; copy the folder again"
        ) from cause
