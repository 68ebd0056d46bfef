"""Facts about transformers' networks: sizes, layers, positions. Kept in the user's cache.

To measure them takes seconds (the import of torch and transformers), to look them up takes none. They are addressed by
the content of config.json, and need no weights.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from emms import user_cache
from emms.errors import ModelError, shortened
from emms.models.families import FAMILIES, Family, Kind
from emms.store.digests import sha256_of

VERSION = 1


class Facts(NamedTuple):
    """Facts about a network, as far as it is used."""

    features: int
    """Dimension of the default features."""
    hidden: int
    """Dimension of the outputs of layers; the last, if they differ."""
    parameters: int
    layers: int
    """Number of layers; of two encoders, that of the one with fewer."""
    several_widths: bool
    """Whether layers differ in width, so that they have no mean."""
    positions: int | None
    """Number of tokens that the network can read; None: any number."""
    start: int | None
    """The token with which a decoder starts; None: that which the tokenizer puts first."""
    registers: int
    """Number of register tokens of an image encoder."""


def look_up(folder: Path, family: Family, name: str, reads: frozenset[str], features: str, shown_as: str) -> Facts:
    """Return the facts about the network with the config.json in a folder.

    name: its class in transformers. features: the part of an encoder-decoder. shown_as: its name in messages.

    Raises ModelError if transformers cannot build it.
    """
    key = {
        "config": sha256_of(str(folder / "config.json")),
        **{"class": name, "family": repr(family), "reads": sorted(reads), "features": features},
        **{"transformers": version("transformers"), "version": VERSION},
    }
    known = user_cache.read("transformers", key)
    if known is None:
        try:
            known = _measure(folder, family, name, reads, features)._asdict()
        except Exception as cause:  # transformers raises errors of every type
            raise ModelError(
                f"model '{shown_as}' cannot be built from its config.json: {shortened(cause)}; "
                f"save it again with save_pretrained, or install the version of transformers that wrote it"
            ) from cause
        user_cache.write("transformers", key, known)
    return Facts(**known)


def _measure(folder: Path, family: Family, name: str, reads: frozenset[str], features: str) -> Facts:
    from emms.models.transformers_build import read_config, skeleton

    config = read_config(folder)
    text, image = _parts(config, family)
    parts = [text] if reads & {"text", "caption"} else []
    if "image" in reads and (family.kind is Kind.DUAL_ENCODER or not parts):
        parts.append(image)
    return Facts(
        features=sum(_width(part, config, family) for part in parts),
        hidden=sum(_hidden(part) for part in parts),
        parameters=sum(p.numel() for p in skeleton(folder, name, family, features).parameters()),
        layers=min(_layers(part) for part in parts),
        several_widths=any(getattr(part, "depths", None) for part in parts),
        positions=_positions(text, family) if reads & {"text", "caption"} else None,
        start=_start(config, text, folder) if "caption" in reads else None,
        registers=getattr(image, "num_register_tokens", 0),
    )


def _parts(config: Any, family: Family) -> tuple[Any, Any]:
    """Return the configurations of the parts that read text and images."""
    text = getattr(config, "text_config", None)
    if family.kind is Kind.CAPTIONER:
        return text or config.decoder, getattr(config, "vision_config", None) or config.encoder
    return text or config, getattr(config, "vision_config", None) or config


def _width(part: Any, config: Any, family: Family) -> int:
    if family.kind is Kind.DUAL_ENCODER:
        shared = getattr(config, "projection_dim", None) or getattr(part, "projection_size", None)
        return shared or _hidden(part)
    return _hidden(part)


def _hidden(part: Any) -> int:
    widths = getattr(part, "hidden_sizes", None)
    return widths[-1] if widths else part.hidden_size


def _layers(part: Any) -> int:
    depths = getattr(part, "depths", None)
    return len(depths) if depths else part.num_hidden_layers


def _positions(text: Any, family: Family) -> int | None:
    # A tokenizer without a limit and a network with relative positions can read any number of tokens.
    positions = getattr(text, "max_position_embeddings", None)
    if positions and FAMILIES.get(text.model_type, family).positions_from_padding:
        positions -= (text.pad_token_id or 0) + 1
    return positions or None


def _start(config: Any, text: Any, folder: Path) -> int | None:
    from transformers import GenerationConfig

    places = [config, text]
    if (folder / "generation_config.json").is_file():
        places.insert(1, GenerationConfig.from_pretrained(folder, local_files_only=True))
    starts = [getattr(place, "decoder_start_token_id", None) for place in places]
    return next((start for start in [*starts, text.bos_token_id] if start is not None), None)
