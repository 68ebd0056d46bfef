"""Group candidates into passes, so that each sample is decoded once for all candidates of a pass."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

from emms.models.base import Candidate
from emms.models.features import SHARD_ROWS, FeaturesKey
from emms.models.loading import Preparation
from emms.progress import listener
from emms.store import digest


@dataclass
class Member:
    """A candidate in a pass, with the key of its features; after a failure, the reason."""

    candidate: Candidate
    key: FeaturesKey
    in_files: bool = True
    """Whether the fields of a sample that it reads are in files, rather than in the listing."""
    failure: str | None = None
    postponed: bool = False
    """Whether its network ran out of memory together with others, and is to be run alone."""
    computed: int = 0
    """Number of shards that were computed rather than found in the store."""

    @property
    def id(self) -> str:
        """The candidate's name in every output."""
        return self.candidate.spec.id

    @property
    def active(self) -> bool:
        """Whether the pass continues with this candidate."""
        return self.failure is None and not self.postponed

    @cached_property
    def network(self) -> str:
        """Digest of the network, which candidates share if they are layers of one network."""
        return digest([self.key.network, self.key.preprocessing, self.key.dtype])

    @cached_property
    def shared(self) -> Hashable:
        """Key of the preparation, which candidates share if they prepare samples in the same way."""
        return type(self.candidate).prepare, self.candidate.sharing(), self.candidate.reads

    @property
    def preparation(self) -> Preparation:
        """How samples become its input."""
        return Preparation(self.candidate.prepare, self.candidate.reads, self.candidate.ragged)

    def fail(self, reason: str) -> None:
        """Mark this candidate as failed and report it."""
        self.failure = reason
        listener.get().failed(self.id, reason)


def plan_passes(members: Sequence[Member], memory: int) -> list[list[Member]]:
    """Group candidates into passes of as many networks as fit together into `memory` bytes.

    Networks that read no files are not in a pass with others, which have to read as many samples as they need.
    """
    networks: dict[tuple[bool, str], list[Member]] = {}
    for member in sorted(members, key=lambda member: not member.in_files):
        networks.setdefault((member.in_files, member.network), []).append(member)
    passes, left = list[list[Member]](), 0
    for views in networks.values():
        features, parameters, *_ = views[0].candidate.size()
        need = 4 * (parameters + len(views) * SHARD_ROWS * features)  # float32 weights, and the features of a shard
        if not passes or need > left or passes[-1][0].in_files != views[0].in_files:
            passes.append([])
            left = memory
        passes[-1] += views
        left -= need
    return passes
