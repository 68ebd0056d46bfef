"""Strategies and checks that tests of several formats share: damaged files, and samples that must not be lost."""

import re

from hypothesis import strategies as st

from emms.errors import EMMSError


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy for content with a few bytes cut out, replaced or inserted."""
    change = st.tuples(st.integers(0, len(content)), st.integers(0, 20), st.binary(max_size=4))

    def apply(changes):
        damaged = content
        for start, length, inserted in changes:
            damaged = damaged[:start] + inserted + damaged[start + length :]
        return damaged

    return st.lists(change, min_size=1, max_size=3).map(apply)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def listed(dataset):
    """Return the listing, or None if it is an error that a user can fix."""
    try:
        listing = dataset.listing()
    except EMMSError:
        return None
    assert not listing.samples["id"].is_duplicated().any()
    return listing


def counted(listing) -> int:
    """Return the number of listed samples and of those that notes say are left out."""
    left_out = [re.match(r"([\d,]+) of [\d,]+ samples .* left out", note) for note in listing.notes]
    return len(listing.samples) + sum(int(match[1].replace(",", "")) for match in left_out if match)
