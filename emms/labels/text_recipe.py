"""How a text encoder is to be used, by what its folder says: which network, which pooling, how long a text may be.

Only JSON is read here, no weights, and transformers is not imported: asking what is in the store must be quick.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emms.errors import LabelEncoderError

# The part that reads text, of networks that have another part too: it alone is loaded.
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

# Networks that read left to right. Most say so by their architecture's name, the bare ones only by their family.
_DECODER_ENDINGS = ("ForCausalLM", "LMHeadModel")
_DECODER_FAMILIES = ("bloom", "falcon", "gemma", "gpt", "llama", "mistral", "olmo", "openai-gpt", "opt", "phi", "qwen")

_SENTENCE_POOLINGS = {"mean": "mean", "cls": "cls", "lasttoken": "last"}


@dataclass(frozen=True)
class Recipe:
    """What turns a text into its embedding, apart from weights and tokenizer."""

    network: str
    """The class in transformers."""
    pooling: str
    """`mean`, `cls` or `last` of the token vectors; `own`: what the network itself gives for a text."""
    normalize: bool = False
    """Whether embeddings have length 1."""
    padded: bool = False
    """Whether every text is filled up to the full length: SigLIP was trained so, with the filling in its attention."""
    max_length: int | None = None
    """Tokens a text may have, where that is less than the network and its tokenizer allow."""
    lower_case: bool = False


def read_recipe(folder: Path, pooling: str) -> Recipe:
    """Return how to use the text encoder in `folder`; `pooling` is `auto` or overrides the folder's and the family's.

    - CLIP, SigLIP and their like: the text's projection into the space it shares with images.
    - sentence-transformers: as `modules.json` and `1_Pooling/config.json` say, with their normalisation.
    - decoders such as GPT-2: the last token, the only one that has seen the whole text.
    - all others, encoders of encoder-decoders such as T5 among them: the mean over tokens.

    Raises LabelEncoderError when the folder is not that of a text encoder, or the pooling makes no sense for it.
    """
    try:
        return _recipe(folder, pooling)
    except (AttributeError, IndexError, KeyError, TypeError) as cause:
        raise LabelEncoderError(
            f"label encoder folder '{folder}' holds JSON that transformers did not write: {cause!r}; "
            f"copy the folder anew"
        ) from cause


def _recipe(folder: Path, pooling: str) -> Recipe:
    config = _read(folder, "config.json")
    if config is None or "model_type" not in config:
        raise LabelEncoderError(
            f"label encoder folder '{folder}' has no config.json that names a model_type; "
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
            f"label encoder '{folder}' ({family}) has an embedding of its own for a text; leave `pooling` at auto"
        )
    if decoder and pooling == "cls":
        raise LabelEncoderError(
            f"label encoder '{folder}' ({family}) reads left to right, so its first token knows nothing of the text; "
            f"use pooling last or mean"
        )
    asked_for, normalize = _sentence_transformers(folder, pooling)
    automatic = "own" if own else asked_for or ("last" if decoder else "mean")
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
    """Return the pooling that a sentence-transformers folder asks for, None elsewhere, and whether it normalises."""
    modules = _read(folder, "modules.json")
    if modules is None:
        return None, False
    paths = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    unknown = paths.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown or paths.get("Transformer") != "":
        raise LabelEncoderError(
            f"label encoder '{folder}' is a sentence-transformers folder of a kind that is not supported "
            f"(modules: {', '.join(paths)}); supported are Transformer, Pooling and Normalize, "
            f"with the Transformer at the top"
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
            f"label encoder '{folder}' asks for pooling '{mode}', which is not supported; "
            f"choose one with `pooling: mean`, cls or last"
        )
    return _SENTENCE_POOLINGS.get(mode), "Normalize" in paths


def _read(folder: Path, name: str) -> Any:
    """Return what a JSON file holds, None if there is no such file."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:
        raise LabelEncoderError(
            f"label encoder file '{folder / name}' cannot be read: {cause}; copy the folder anew"
        ) from cause
