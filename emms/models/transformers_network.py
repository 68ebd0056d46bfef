"""Networks of transformers (Wolf et al. 2020), in a folder or from the hub, at any of their layers.

torch and transformers are imported only where a network is built or a sample prepared; the keys of features in the
store are computed without them, once the facts about a network are in the user's cache.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emms import pretrained
from emms.errors import ModelError, UnavailableError
from emms.models import random_weights, transformers_facts
from emms.models.base import Candidate, Digests, Forward, Size, View
from emms.models.families import CAPTIONER_FEATURES, TEXT_KINDS, Family, Kind, Part, family_of
from emms.models.timm_network import TimmNetwork
from emms.models.transformers_checks import check_family, check_layer, check_spec
from emms.models.transformers_inputs import Inputs, Preparation, Reading, max_length
from emms.store.digests import FileDigests, sha256_of

if TYPE_CHECKING:
    import torch

    # emms.spec imports all dataset formats, one of which may come from a package that imports this module.
    from emms.spec import ModelSpec
    from emms.store import Store

VERSION = 1  # raise it if the code changes features
_ANY = frozenset({"image", "text"})
_OF_THE_NETWORK = {"config.json", "generation_config.json", "model.safetensors.index.json"}


class TransformersNetwork(Candidate):
    """A network in a folder that `save_pretrained` wrote; its row in `FAMILIES` says what it reads."""

    def __init__(self, spec: ModelSpec, store: Store | None = None, inputs: frozenset[str] | None = None) -> None:
        super().__init__(spec, store, inputs)
        self._inputs = _ANY if inputs is None else inputs
        self._lock = threading.Lock()

    @abstractmethod
    def _folder(self, with_weights: bool) -> Path:
        """Return the local folder, downloaded if necessary. Raises ModelError or UnavailableError."""

    @abstractmethod
    def _config(self) -> dict[str, Any] | None:
        """Return the content of config.json; None if the hub cannot be reached. Raises ModelError if it is damaged."""

    @cached_property
    def reads(self) -> frozenset[str]:  # type: ignore[override]
        """The fields that the network reads; without its config.json, all fields that networks can read."""
        family = self._family
        if family is None:
            return self._inputs & _ANY or _ANY
        reads = family.reads(self._inputs, self._features)
        return reads | {"answer_start"} if self.spec.windows == "answer" else reads

    @property
    def ragged(self) -> bool:  # type: ignore[override]
        """Whether it reads tokens."""
        return self.reads != {"image"}

    def check(self) -> None:
        """Raise ModelError if the folder, layer, pooling or another option does not fit the network."""
        check_spec(self.spec)
        family = self._family
        if family is None:  # a network of the hub that cannot be reached now
            return
        check_family(self.spec, family, self._parts(family))
        if self.spec.layer and self._config() is not None:
            check_layer(self.spec, self._facts)

    def views(self) -> Sequence[View]:
        """Return where features are taken: each layer for `layer: best`. Needs config.json."""
        from emms.spec.model import BEST

        if self.spec.layer != BEST:
            return [View(self.spec.layer, self.spec.pool)]
        return [View(str(layer), self.spec.pool) for layer in range(1, self._facts.layers + 1)]

    def size(self) -> Size:
        """Return the number of features, at one layer, and of parameters.

        Raises UnavailableError if config.json is not available.
        """
        grid = self._grid.size().parameters if self._grid else 0
        default = self.spec.layer is None and self.spec.pool == "auto"
        facts = self._facts
        return Size(facts.features if default else facts.hidden, facts.parameters + grid)

    def network(self, digests: Digests) -> dict[str, Any]:
        """Return the digests of the weights, and of the files that configure network, tokenizer and processor."""
        identity: dict[str, Any] = {"family": "transformers", "version": VERSION}
        folder = self._folder(self.spec.pretrained)
        files = pretrained.configuration(folder)
        if self.spec.pretrained:
            files = sorted({*files, *self._weights(folder)})
        else:
            identity["random weights"] = random_weights.digest(self._control)
        if self._grid:
            identity["grid"] = self._grid.network(digests)
        return identity | {"files": self._digests(folder, files, digests)}

    def preprocessing(self) -> dict[str, Any]:
        """Return what the network reads, and how: the part, windows, the maximum length in tokens."""
        reading, family = self._reading, self._known_family
        part = {"part": self._features} if family.kind is Kind.CAPTIONER else {}
        grid = {"grid": self._grid.preprocessing()} if self._grid else {}
        settings = {**reading._asdict(), "reads": sorted(reading.reads)} if self.ragged else {"reads": ["image"]}
        return {"kind": family.kind.value, **part, **grid, **settings}

    def sharing(self) -> Hashable:
        """Return the settings of the preparation, and the digests of tokenizer and image processor."""
        folder = self._folder(self.spec.pretrained)
        files = [path for path in pretrained.configuration(folder) if path.name not in _OF_THE_NETWORK]
        digests = tuple((path.relative_to(folder).as_posix(), self._digest(path)) for path in files)
        return self._reading, digests, self._grid and self._grid.sharing()

    def prepare(self, sample: Any) -> Inputs | np.ndarray:
        """Return the windows of tokens and the pixels of a sample; of an image alone, (3, H, W) float32."""
        with self._lock:
            preparation = self._preparation
        return preparation(sample)

    def length(self, prepared: Inputs) -> int:
        """Return the number of tokens."""
        return prepared.length

    def load(self, device: torch.device) -> Forward:
        """Load the network. Raises ModelError if weights are missing or have changed since the key was made."""
        from emms.models import transformers_build
        from emms.models.timm_forward import TimmForward
        from emms.models.transformers_forward import TransformersForward

        folder, family, promised = self._folder(self.spec.pretrained), self._known_family, self.promised or {}
        name, features = family.network(self._known_config), self._features
        if self.spec.pretrained:
            self._weights(folder)
            files = promised.get("files", {})
            if files != self._digests(folder, [folder / file for file in files], lambda p: [*map(self._digest_of, p)]):
                raise self._error(f"has changed in '{folder}' during the run; run again")
            module = transformers_build.load(folder, name, family, features, self.spec.id)
        else:
            module = random_weights.draw(self._control, promised.get("random weights"), self.spec.id)
        grid = None
        if self._grid:
            self._grid.promised = promised.get("grid")
            forward = self._grid.load(device)
            assert isinstance(forward, TimmForward)
            grid = forward.last, forward.parameters
        return TransformersForward(module, family, self.reads, self._facts.registers, device, grid)

    @property
    def _features(self) -> str:
        return CAPTIONER_FEATURES if self.spec.features == "auto" else self.spec.features

    @property
    def _family(self) -> Family | None:
        """The row of the table; None if config.json is not available."""
        config = self._config()
        return None if config is None else family_of(config, self.spec.id)

    @property
    def _known_config(self) -> dict[str, Any]:
        config = self._config()
        if config is None:
            self._folder(with_weights=False)  # says why it is not available
            raise UnavailableError(f"model '{self.spec.id}' has no config.json in the hub's local cache; run again")
        return config

    @property
    def _known_family(self) -> Family:
        return family_of(self._known_config, self.spec.id)

    def _parts(self, family: Family) -> list[Part]:
        """Return the parts of the network that are used."""
        text, image = bool(self.reads & {"text", "caption"}), "image" in self.reads
        joined = family.kind is Kind.DUAL_ENCODER
        parts = [family.text if text else None, family.image if image and (joined or not text) else None]
        return [part for part in parts if part]

    @cached_property
    def _facts(self) -> transformers_facts.Facts:
        config, family = self._known_config, self._known_family
        folder = self._folder(with_weights=False)
        name = family.network(config)
        return transformers_facts.look_up(folder, family, name, self.reads, self._features, self.spec.id)

    @cached_property
    def _reading(self) -> Reading:
        family, facts = self._known_family, self._facts
        long_texts = family.kind in TEXT_KINDS or (family.kind is Kind.DUAL_ENCODER and "image" not in self.reads)
        folder = self._folder(with_weights=False)
        limits = [
            (self._json(folder / "tokenizer_config.json") or {}).get("model_max_length"),
            (self._json(folder / "sentence_bert_config.json") or {}).get("max_seq_length"),
        ]
        return Reading(
            reads=self.reads,
            max_length=max_length([facts.positions, *limits]),
            windows=self.spec.windows if long_texts and not family.full_length else "cut",
            separator="\n" if family.kind is Kind.TEXT_DECODER else "",
            full_length=family.full_length,
            start=facts.start,
            replaces_first_token=family.replaces_first_token,
        )

    @cached_property
    def _preparation(self) -> Preparation:
        images = self._grid_image if self._grid else None
        return Preparation(self._folder(self.spec.pretrained), self._reading, images, self.spec.id)

    def _grid_image(self, image: Any) -> np.ndarray:
        from emms.downstream.image_classification import ImageSample

        assert self._grid
        return self._grid.prepare(ImageSample("", image))

    @cached_property
    def _grid(self) -> TimmNetwork | None:
        from emms.spec import ModelSpec

        name, spec = self._known_family.grid, self.spec
        if not name or "image" not in self.reads:
            return None
        return TimmNetwork(ModelSpec(source="timm", name=name, pretrained=spec.pretrained, seed=spec.seed), self.store)

    @property
    def _control(self) -> random_weights.Control:
        family, folder, features = self._known_family, self._folder(with_weights=False), self._features
        name = family.network(self._known_config)

        def draw() -> torch.nn.Module:
            from emms.models import transformers_build

            return transformers_build.draw(folder, name, family, features)

        identity = {"transformers": name, "config": self._digest(folder / "config.json"), "features": features}
        return random_weights.Control(identity, ("transformers",), self.spec.seed, draw)

    def _weights(self, folder: Path) -> list[Path]:
        if files := pretrained.weights(folder):
            return files
        raise self._error(
            f"has no weights in '{folder}'; it needs model.safetensors or pytorch_model.bin, or `pretrained: false` "
            f"to use it as a control"
        )

    def _digests(self, folder: Path, files: Sequence[Path], digests: Digests) -> dict[str, str]:
        try:
            hashes = digests([str(file) for file in files])
        except OSError as cause:
            raise self._error(f"cannot be read: {cause}; fix the file or its permissions") from cause
        return {file.relative_to(folder).as_posix(): sha for file, sha in zip(files, hashes, strict=True)}

    def _digest(self, path: Path) -> str:
        return self._digest_of(str(path))

    def _digest_of(self, path: str) -> str:
        return FileDigests(self.store)([path])[0] if self.store else sha256_of(path)

    def _json(self, path: Path) -> dict[str, Any] | None:
        """Return the content of a JSON file, None if it does not exist. Raises ModelError."""
        try:
            content = pretrained.read_json(path)
        except (OSError, ValueError) as cause:
            raise self._error(f"has a file '{path}' that cannot be read: {cause}; copy the folder again") from cause
        if content is not None and not isinstance(content, dict):
            raise self._error(f"has a file '{path}' that transformers did not write; copy the folder again")
        return content

    def _error(self, message: str) -> ModelError:
        return ModelError(f"model '{self.spec.id}' {message}")
