"""Checks of the options of a transformers network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emms.errors import ModelError
from emms.models.families import MEAN, TEXT_KINDS, Family, Kind, Part

if TYPE_CHECKING:
    from emms.models.transformers_facts import Facts
    from emms.spec import ModelSpec


def check_spec(spec: ModelSpec) -> None:
    """Raise ModelError for options that no network of transformers has."""
    from emms.spec.model import BEST

    if spec.checkpoint:
        raise _error(
            spec,
            "cannot load a `checkpoint:`; save network and tokenizer in a folder with save_pretrained, and give the "
            "folder as `./folder`",
        )
    if spec.pool == "logits":
        raise _error(spec, "is used without its classifier, so it has no logits; networks of timm have them")
    if spec.pool == "grid":
        raise _error(spec, "outputs tokens, not a map to divide into parts; use `pool: mean`, or remove `pool:`")
    if spec.layer and spec.layer not in {MEAN, BEST} and not _is_number(spec.layer):
        raise _error(
            spec,
            f"has no layer '{spec.layer}'; give the number of a layer, `{MEAN}` (over all layers) or `{BEST}`",
        )


def check_family(spec: ModelSpec, family: Family, parts: Sequence[Part]) -> None:
    """Raise ModelError for options that do not apply to a family. parts: those of the network that are used."""
    if spec.features != "auto" and family.kind is not Kind.CAPTIONER:
        raise _error(
            spec, f"is no captioner but of the kind {family.kind}, so it has no choice of `features:`; remove it"
        )
    if spec.windows == "answer" and family.kind not in TEXT_KINDS:
        raise _error(spec, f"is of the kind {family.kind}, which reads no passage; remove `windows: answer`")
    if spec.pool == "token" and not all(part.class_token for part in parts):
        raise _error(spec, "has no class token to pool by; use `pool: mean`, or remove `pool:`")


def check_layer(spec: ModelSpec, facts: Facts) -> None:
    """Raise ModelError if the network has no such layer."""
    if spec.layer == MEAN and facts.several_widths:
        raise _error(spec, "has layers of several widths, so they have no mean; give a layer's number")
    if spec.layer and _is_number(spec.layer) and int(spec.layer) > facts.layers:
        raise _error(spec, f"has no layer {spec.layer}; it has 1 to {facts.layers}, and its embeddings as layer 0")


def _is_number(layer: str) -> bool:
    return layer.isascii() and layer.isdecimal() and layer == str(int(layer))


def _error(spec: ModelSpec, message: str) -> ModelError:
    return ModelError(f"model '{spec.id}' {message}")
