"""What every source of networks gives: how a sample becomes an input, and how a batch of inputs becomes features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from emms.store import Store

if TYPE_CHECKING:
    import torch

    # The spec knows all dataset formats, and one of them may come from a package that imports this module.
    from emms.spec import ModelSpec

Digests = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class View:
    """Where in a network features are taken: after a named module (None: before the head), and how they are pooled."""

    layer: str | None
    pool: str


class Size(NamedTuple):
    """How large a network is."""

    features: int
    """Dimension before the head."""
    parameters: int
    multiply_adds: int | None = None
    """For the features of one sample of the default size; None if unknown."""


class Candidate(ABC):
    """One network at one layer, as a spec names it. Making one is cheap and reads no weights."""

    reads: ClassVar[frozenset[str]] = frozenset({"image"})
    """The fields of a sample that this family of networks reads. It can do any task whose samples have them."""

    def __init__(self, spec: ModelSpec, store: Store | None = None) -> None:
        self.spec = spec
        self.store = store
        """Where to remember the digests of weights; it works without."""
        self.promised: Mapping[str, Any] | None = None
        """What `network` returned when the features were addressed, perhaps in another process. If it is set, `load`
        raises ModelError when the weights are not those."""
        self.view = View(spec.layer, spec.pool)

    @classmethod
    @abstractmethod
    def names(cls, pattern: str) -> list[str]:
        """Return the names that this source knows and that match a shell pattern such as `resnet*`."""

    @abstractmethod
    def check(self) -> None:
        """Raise ModelError if the name, the layer, the pooling or the checkpoint cannot be. Downloads nothing."""

    @abstractmethod
    def size(self) -> Size | tuple[int, int]:
        """Return features before the head, parameters and, if known, multiply-adds. Reads no weights."""

    @abstractmethod
    def network(self, digests: Digests) -> dict[str, Any]:
        """Return, as JSON, which network this is: its architecture, the digest of its weights, a version number.

        Candidates that return the same share a forward pass. May download weights; `digests` gives the SHA-256 of
        local files. Raises UnavailableError if weights cannot be downloaded.
        """

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """Return, as JSON, all that happens to a sample before the network sees it. No weights are needed."""

    @abstractmethod
    def sharing(self) -> Hashable:
        """Return what candidates must have in common for `prepare` to do the same, so that it is done once for all."""

    @abstractmethod
    def prepare(self, sample: Any) -> np.ndarray:
        """Turn one sample of the task into what is stacked to a batch. Called from several threads at once."""

    @abstractmethod
    def load(self, device: torch.device) -> Forward:
        """Load the network. Raises ModelError when its weights do not fit it."""


class Forward(ABC):
    """A loaded network."""

    parameters: int

    @abstractmethod
    def __call__(self, batch: np.ndarray, views: Sequence[View]) -> list[torch.Tensor]:
        """Return one (B, D1) tensor a view for a stacked batch of B prepared samples, from one forward pass."""
