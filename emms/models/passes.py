"""Which candidates are extracted together, so that each sample is decoded once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from emms.models.base import Candidate
from emms.models.features import SHARD_ROWS, FeaturesKey
from emms.progress import listener
from emms.store import digest


@dataclass
class Member:
    """A candidate in a pass, with the key of its features; once it has failed, the reason."""

    candidate: Candidate
    key: FeaturesKey
    failure: str | None = None
    postponed: bool = False
    """Whether its network ran out of memory beside the others, and is to be tried alone."""
    computed: int = 0
    """Shards that were computed, not found in the store."""

    @property
    def id(self) -> str:
        """The candidate's name in every output."""
        return self.candidate.spec.id

    @property
    def active(self) -> bool:
        """Whether the pass goes on with this candidate."""
        return self.failure is None and not self.postponed

    @cached_property
    def network(self) -> str:
        """What candidates that are one network at several layers have in common."""
        return digest([self.key.network, self.key.preprocessing, self.key.dtype])

    @cached_property
    def preparation(self) -> Hashable:
        """What candidates that prepare a sample alike have in common."""
        return type(self.candidate).prepare, self.candidate.sharing()

    def fail(self, reason: str) -> None:
        """Leave this candidate out from here on."""
        self.failure = reason
        listener.get().failed(self.id, reason)


def plan_passes(members: Sequence[Member], memory: int) -> list[list[Member]]:
    """Group candidates into passes, each of as many networks as fit into so many bytes of memory together."""
    networks: dict[str, list[Member]] = {}
    for member in members:
        networks.setdefault(member.network, []).append(member)
    passes, left = list[list[Member]](), 0
    for views in networks.values():
        features, parameters, *_ = views[0].candidate.size()
        need = 4 * (parameters + len(views) * SHARD_ROWS * features)  # float32 weights, and the features of a shard
        if not passes or need > left:
            passes.append([])
            left = memory
        passes[-1] += views
        left -= need
    return passes
