"""Interface of network sources: how a sample becomes an input, and how a batch of inputs becomes features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from emms.store import Store

if TYPE_CHECKING:
    import torch

    # emms.spec imports all dataset formats, one of which may come from a package that imports this module.
    from emms.spec import ModelSpec

Digests = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class View:
    """Where features are taken in a network: after a named module (None: before the head), and how they are pooled."""

    layer: str | None
    pool: str


class Size(NamedTuple):
    """Size of a network."""

    features: int
    """Dimension before the head."""
    parameters: int
    multiply_adds: int | None = None
    """For the features of one sample of the default size; None if unknown."""


class Candidate(ABC):
    """One network at one layer, as named in a spec. Creating one is cheap and reads no weights."""

    reads: frozenset[str] = frozenset({"image"})
    """The fields of a sample that this network uses. It can do any task whose samples have these fields."""
    ragged: bool = False
    """Whether inputs differ in length, as tokens do. Then a batch is a list of them, sorted by `length`, not one array;
    and the features must not depend on the other inputs of a batch, except for rounding."""

    def __init__(self, spec: ModelSpec, store: Store | None = None, inputs: frozenset[str] | None = None) -> None:
        """Create a candidate.

        inputs: the fields of a sample; networks that can read different fields choose `reads` among them. None: all.
        store: caches the digests of weights.
        """
        self.spec = spec
        self.store = store
        self.promised: Mapping[str, Any] | None = None
        """The return value of `network` from which the features' key was made, perhaps in another process. If set,
        `load` raises ModelError if the weights are different."""

    @classmethod
    def create(cls, spec: ModelSpec, store: Store | None, inputs: frozenset[str] | None) -> Candidate:
        """Return the candidate of a spec; sources with networks of several classes choose one."""
        return cls(spec, store, inputs)

    def views(self) -> Sequence[View]:
        """Return where features are taken: one view, or the layers of which the best is chosen (`layer: best`).

        May need the network's configuration, but no weights. Raises what `network` raises.
        """
        return [View(self.spec.layer, self.spec.pool)]

    @classmethod
    @abstractmethod
    def names(cls, pattern: str) -> list[str]:
        """Return the names of this source that match a shell pattern such as `resnet*`."""

    @abstractmethod
    def check(self) -> None:
        """Raise ModelError if the name, the layer, the pooling or the checkpoint is invalid. Downloads no weights."""

    @abstractmethod
    def size(self) -> Size | tuple[int, int]:
        """Return the number of features before the head, parameters and, if known, multiply-adds. Reads no weights."""

    @abstractmethod
    def network(self, digests: Digests) -> dict[str, Any]:
        """Return, as JSON, what identifies the network: its architecture, the digest of its weights, a version number.

        Candidates with equal values share a forward pass. May download weights; `digests` returns the SHA-256 of
        local files. Raises UnavailableError if weights cannot be downloaded.
        """

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """Return, as JSON, all settings of the preprocessing of a sample. Needs no weights."""

    @abstractmethod
    def sharing(self) -> Hashable:
        """Return what determines the output of `prepare`; candidates with equal values share its result."""

    @abstractmethod
    def prepare(self, sample: Any) -> Any:
        """Preprocess one sample, from its fields in `reads`. Called from several threads at once.

        Returns an array that can be stacked into a batch, or, if inputs are `ragged`, anything that has a `length`.
        """

    def length(self, prepared: Any) -> int:
        """Return the length of a ragged input, such as its number of tokens."""
        return 0

    @abstractmethod
    def load(self, device: torch.device) -> Forward:
        """Load the network. Raises ModelError if its weights do not fit it."""


class Forward(ABC):
    """A loaded network."""

    parameters: int

    @abstractmethod
    def __call__(self, batch: Any, views: Sequence[View]) -> list[torch.Tensor]:
        """Return one (B, D1) tensor per view for a batch of B prepared samples, from one forward pass.

        batch: a stacked array (B, …), or, if inputs are ragged, a list of B inputs of similar length.
        """
