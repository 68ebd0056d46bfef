"""Build networks of transformers: with the weights of a folder, with random weights, or without allocating weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from emms.errors import ModelError, shortened
from emms.models.checkpoints import check_values
from emms.models.families import CAPTIONER_FEATURES, Family, Kind
from emms.models.random_weights import building
from emms.pretrained import quiet

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load(folder: Path, name: str, family: Family, features: str, shown_as: str) -> torch.nn.Module:
    """Return the part of a network that is used, with the weights in a folder, in float32.

    name: the class in transformers. features: the part of an encoder-decoder. shown_as: its name in messages.

    Raises ModelError if weights are missing, damaged, or not those of the network in config.json.
    """
    try:
        with quiet(), building():  # tensors that are missing get random values
            network, report = getattr(transformers, name).from_pretrained(
                folder, **_LOCAL, output_loading_info=True, dtype=torch.float32
            )
    except Exception as cause:  # transformers raises errors of every type
        raise ModelError(
            f"weights of model '{shown_as}' in '{folder}' cannot be loaded: {shortened(cause)}; "
            f"check that the folder is complete, or save it again with save_pretrained"
        ) from cause
    # Many checkpoints have no pooler, which is used only where it is the default.
    pooler = any(part.pool == "own" for part in (family.text, family.image) if part)
    missing = sorted(key for key in report["missing_keys"] if pooler or "pooler." not in key)
    if missing:
        raise ModelError(
            f"weights of model '{shown_as}' in '{folder}' lack {len(missing)} tensors ({', '.join(missing[:3])}"
            f"{', …' if len(missing) > 3 else ''}); they are not those of the network in its config.json"
        )
    check_values(dict(network.named_parameters()), {}, f"'{folder}', the weights of model '{shown_as}',")
    return _used(network, family, features).eval()


def draw(folder: Path, name: str, family: Family, features: str) -> torch.nn.Module:
    """Return the part of a network that is used, with the random weights that transformers gives it."""
    return _used(_construct(name, read_config(folder)), family, features)


def skeleton(folder: Path, name: str, family: Family, features: str) -> torch.nn.Module:
    """Return the part of a network that is used, with shapes but without allocated weights."""
    with building(), torch.device("meta"):
        return _used(_construct(name, read_config(folder)), family, features)


def read_config(folder: Path) -> Any:
    """Return transformers' configuration, with the defaults that config.json leaves out."""
    with quiet():
        return transformers.AutoConfig.from_pretrained(folder, **_LOCAL)


def _construct(name: str, config: Any) -> torch.nn.Module:
    network = getattr(transformers, name)
    with quiet():
        if hasattr(network, "from_config"):
            return network.from_config(config, dtype=torch.float32, trust_remote_code=False)
        return network(config)


def _used(network: Any, family: Family, features: str) -> torch.nn.Module:
    """Return the part of an encoder-decoder that is used; other networks as they are."""
    if family.kind is Kind.TEXT_ENCODER_DECODER and hasattr(network, "get_encoder"):
        return network.get_encoder()
    if family.kind is Kind.CAPTIONER and part_of(features) == "encoder":
        return network.encoder if hasattr(network, "encoder") else network.vision_model
    return network


def part_of(features: str) -> str:
    """Return the part of a captioner that the spec's `features` stands for."""
    return CAPTIONER_FEATURES if features == "auto" else features
