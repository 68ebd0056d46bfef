"""Measure facts about timm's architectures, on networks without allocated weights. Needs timm and torch.

Used by `emms.models.architectures` for names without shipped facts, and by `emms.models.timm_facts`.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from emms.models.pooling import Layout
from emms.models.timm_build import skeleton


def list_names() -> list[str]:
    """Return all timm names: architectures without a tag, and with each tag of published weights."""
    return sorted({*timm.list_models(), *timm.list_pretrained()})


def configuration(name: str) -> dict[str, Any]:
    """Return timm's configuration of the weights of a name; empty if it has none."""
    config = timm.get_pretrained_cfg(name)
    return config.to_dict() if config else {}


def weights_facts(name: str) -> dict[str, Any]:
    """Return facts about a name's published weights: preprocessing, published, classes, classifier."""
    config = configuration(name)
    preprocessing = timm.data.resolve_data_config({}, pretrained_cfg=config)
    classifier = config.get("classifier") or []
    return {
        "preprocessing": {key: list(v) if isinstance(v, tuple) else v for key, v in preprocessing.items()},
        "published": {part: config[part] for part in ("hf_hub_id", "hf_hub_filename", "url") if config.get(part)},
        "classes": config.get("num_classes", 1000),
        "classifier": [classifier] if isinstance(classifier, str) else list(classifier),
    }


def network_facts(name: str, input_size: list[int]) -> dict[str, Any]:
    """Return facts about a name's network: modules, class_token, features, parameters, multiply_adds per image."""
    network: Any = skeleton(name)
    return {
        "modules": [module for module, _ in network.named_modules() if module],
        "class_token": Layout.of(network).class_token,
        "features": int(getattr(network, "head_hidden_size", None) or network.num_features),
        "parameters": sum(p.numel() for p in network.parameters()),
        "multiply_adds": _multiply_adds(network, input_size),
    }


def _multiply_adds(network: Any, input_size: list[int]) -> int | None:
    try:
        with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network.forward_features(torch.zeros(1, *input_size))
    except Exception:  # an operation that does not run on the meta device
        return None
    return int(counter.get_total_flops()) // 2
