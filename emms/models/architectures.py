"""Facts about timm's architectures, available without importing timm, which takes eight seconds.

Those of one version of timm ship with this package. If another version is installed, an architecture is measured on
first use, and the facts are kept in the user's cache.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from emms import user_cache
from emms.errors import ModelError, did_you_mean
from emms.models import timm_facts


@dataclass(frozen=True)
class Architecture:
    """Facts about a timm name, with or without a tag, that do not depend on the weights."""

    preprocessing: dict[str, Any]
    """timm's data configuration: size, interpolation, crop, mean and standard deviation."""
    published: dict[str, str]
    """Location of its weights: `hf_hub_id`, `hf_hub_filename` and `url`, if present."""
    classes: int
    """Number of classes of the published classifier."""
    classifier: list[str]
    """Names of the modules that map features to classes."""
    modules: list[str]
    class_token: bool
    features: int
    """Dimension before the head."""
    parameters: int
    multiply_adds: int | None
    """Multiply-adds before the head, per image of the size in `preprocessing`; None if torch cannot count them."""


def names(pattern: str) -> list[str]:
    """Return the timm names that match a shell pattern: architectures without a tag, and with each tag."""
    return fnmatch.filter(_names(), pattern)


def look_up(name: str, shown_as: str) -> Architecture:
    """Return the facts about a timm name.

    shown_as: the model's name in messages.

    Raises ModelError if timm has no such name; the message suggests similar ones.
    """
    known = _names()
    if name not in known:
        raise ModelError(f"model '{shown_as}' is unknown{_unknown(name, known)}")
    shipped = timm_facts.shipped()
    return Architecture(**shipped.of(name)) if shipped else _measured(name)


@cache
def _names() -> dict[str, None]:
    """Return all names of the installed version of timm, sorted, as keys."""
    shipped = timm_facts.shipped()
    if shipped:
        return dict.fromkeys(shipped.names())
    known = user_cache.read("architectures", _key("*"))
    if known is None:
        from emms.models.timm_measure import list_names

        known = list_names()
        user_cache.write("architectures", _key("*"), known)
    return dict.fromkeys(known)


@cache
def _measured(name: str) -> Architecture:
    facts = user_cache.read("architectures", _key(name))
    if facts is None:
        from emms.models.timm_measure import network_facts, weights_facts

        facts = weights_facts(name)
        facts |= network_facts(name, facts["preprocessing"]["input_size"])
        user_cache.write("architectures", _key(name), facts)
    return Architecture(**facts)


def _key(name: str) -> dict[str, Any]:
    return {"name": name, "timm": version("timm"), "version": timm_facts.VERSION}


def _unknown(name: str, known: dict[str, None]) -> str:
    architecture, _, tag = name.partition(".")
    if architecture not in known:
        return f"{did_you_mean(name, known)} (all names: emms models)"
    tags = [other for other in known if other.startswith(f"{architecture}.")]
    has = ", ".join(tags) or "none"
    return f": {architecture} has no weights tagged '{tag}'{did_you_mean(name, tags)} (it has: {has})"
