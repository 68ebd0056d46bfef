"""What timm knows of an architecture, remembered in the store.

To look it up, timm has to be imported and a network built: ten seconds, more than all else that a run takes when it
finds its artifacts in the store.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, ClassVar

from emms.errors import ModelError, did_you_mean
from emms.store import Key, Meta, Store

# Random weights come from torch's global generator, which is set and set back while a network is built.
BUILDING = threading.Lock()


@dataclass(frozen=True)
class Architecture:
    """A name of timm, with or without a tag, and what can be said of it without its weights. JSON both ways."""

    preprocessing: dict[str, Any]
    """timm's data configuration: size, interpolation, crop, mean and deviation."""
    published: dict[str, str]
    """Where its weights are: of `hf_hub_id`, `hf_hub_filename` and `url` those there are."""
    classes: int
    classifier: list[str]
    """Names of the modules that make the classes of the features."""
    modules: list[str]
    class_token: bool
    features: int
    """Dimension before the head."""
    parameters: int


class ArchitectureMeta(Meta):
    known: dict[str, Any]


class ArchitectureKey(Key):
    kind: ClassVar[str] = "architectures"
    version: ClassVar[int] = 2
    meta: ClassVar[type[Meta]] = ArchitectureMeta
    timm: str
    name: str


def look_up(name: str, shown_as: str, store: Store | None) -> Architecture:
    """Return what is known of `name`, from the store if it is there.

    Raises ModelError, in which the model is `shown_as`, when timm has no such name; nearest ones are offered.
    """
    key = ArchitectureKey(timm=version("timm"), name=name)
    found = store.find(key) if store else None
    if found is not None:
        return Architecture(**found.meta.known)
    _check_name(name, shown_as)
    known = _read_off(name)
    if store:
        with store.create(key) as draft:
            draft.meta = ArchitectureMeta(known=asdict(known))
    return known


def skeleton(name: str) -> Any:
    """Return a network of this architecture without storage for its weights."""
    import timm
    import torch

    logging.getLogger("timm").setLevel(logging.ERROR)
    with BUILDING, torch.random.fork_rng(devices=[]), torch.device("meta"):
        return timm.create_model(name.partition(".")[0], pretrained=False)


def _check_name(name: str, shown_as: str) -> None:
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = did_you_mean(name, [*timm.list_models(), *timm.list_pretrained()])
        raise ModelError(f"model '{shown_as}' is unknown{near} (all names: emms models)")
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise ModelError(
            f"model '{shown_as}' is unknown: {architecture} has no weights tagged '{tag}'{did_you_mean(name, tags)} "
            f"(it has: {', '.join(tags) or 'none'})"
        )


def _read_off(name: str) -> Architecture:
    import timm

    from emms.models.pooling import Layout

    cfg = timm.get_pretrained_cfg(name)
    config = cfg.to_dict() if cfg else {}
    network = skeleton(name)
    classifier = config.get("classifier") or []
    return Architecture(
        preprocessing={
            setting: list(value) if isinstance(value, tuple) else value
            for setting, value in timm.data.resolve_data_config({}, pretrained_cfg=config).items()
        },
        published={part: config[part] for part in ("hf_hub_id", "hf_hub_filename", "url") if config.get(part)},
        classes=config.get("num_classes", 1000),
        classifier=[classifier] if isinstance(classifier, str) else list(classifier),
        modules=[module for module, _ in network.named_modules() if module],
        class_token=Layout.of(network).class_token,
        features=int(getattr(network, "head_hidden_size", None) or network.num_features),
        parameters=sum(p.numel() for p in network.parameters()),
    )
