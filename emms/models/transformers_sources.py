"""Where networks of transformers come from: a local folder, or the Hugging Face hub."""

from __future__ import annotations

import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

from emms import hub, pretrained
from emms.errors import UnavailableError, UnreachableError, shortened
from emms.models.families import FAMILIES, Family
from emms.models.transformers_network import TransformersNetwork

_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "*.model", "*.spm")
_PROCESSORS = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")


class FolderNetwork(TransformersNetwork):
    """`./folder`: a network that `save_pretrained` wrote, with its tokenizer and image processor."""

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return no names: folders are not listed."""
        return []

    def check(self) -> None:
        """Raise ModelError if the folder is incomplete, or an option does not fit the network."""
        super().check()
        folder = self._folder(with_weights=True)
        if self.spec.pretrained:
            self._weights(folder)
        needs: list[tuple[str, tuple[str, ...]]] = [("tokenizer", _TOKENIZERS)] if self.ragged else []
        if "image" in self.reads and not self._known_family.grid:
            needs.append(("image processor", _PROCESSORS))
        for what, files in needs:
            if not any(found for pattern in files for found in folder.glob(pattern)):
                raise self._error(
                    f"has no {what} in '{folder}' (none of {', '.join(files)}); save it there with save_pretrained"
                )

    def _folder(self, with_weights: bool) -> Path:
        folder = Path(self.spec.name).expanduser()
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise self._error(f"is a folder that {what}; give the path of a folder with a config.json")
        return folder

    def _config(self) -> dict[str, Any] | None:
        folder = self._folder(with_weights=False)
        config = self._json(folder / "config.json")
        if config is None:
            raise self._error("has no config.json; give a folder written by transformers' save_pretrained")
        return config


class HubNetwork(TransformersNetwork):
    """`hf:NAME`: a network of the Hugging Face hub, such as hf:openai/clip-vit-base-patch32.

    If the hub cannot be reached, its local cache is used.
    """

    _fetched: Path | None = None
    """The local path of config.json, once it was asked for."""

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return a well-known network of each family whose name matches; the hub has many more."""
        return fnmatch.filter([family.example for family in FAMILIES.values()], pattern)

    @cached_property
    def _snapshots(self) -> dict[bool, Path]:
        return {}

    def _folder(self, with_weights: bool) -> Path:
        folder = self._snapshots.get(True) or self._snapshots.get(with_weights)
        if folder is None:
            try:
                folder = self._snapshots[with_weights] = pretrained.snapshot(self.spec.name, with_weights)
            except UnavailableError as cause:
                raise self._unavailable(cause) from cause
        return folder

    @property
    def _family(self) -> Family | None:
        known = {family.example: family for family in FAMILIES.values()}
        return known.get(self.spec.name) or super()._family

    def _config(self) -> dict[str, Any] | None:
        if self._fetched is None:
            try:
                self._fetched = hub.fetch(self.spec.name, ["config.json"])
            except UnreachableError:
                return None
            except Exception as cause:  # errors of HTTP, of the file system, of huggingface_hub
                raise self._unavailable(cause) from cause
        return self._json(self._fetched)

    def _unavailable(self, cause: Exception) -> UnavailableError:
        kind = UnreachableError if isinstance(cause, UnreachableError) else UnavailableError
        return kind(
            f"model '{self.spec.id}' is not available: {shortened(cause)}; check its name on huggingface.co and the "
            f"network, download it on another machine and give its folder (`./folder`), or choose networks that need "
            f"no hub (emms models 'packaged:*')"
        )
