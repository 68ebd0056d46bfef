"""What the tests of readers of annotations share."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import strategies as st
from PIL import Image

from emms.datasets import Dataset, Listing
from emms.errors import EMMSError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON, with halves of characters."""
LEFT_OUT = re.compile(r"(\d+) of (\d+) samples .* left out", re.DOTALL)


def pictures(folder: Path, *names: str) -> Path:
    """Write small images, each in one colour, and return their folder."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number * 20, 100, 0)).save(path, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def left_out(listing: Listing) -> int:
    """Return how many samples the notes say are left out."""
    return sum(int(found[1]) for note in listing.notes if (found := LEFT_OUT.match(note)))


def labels(listing: Listing) -> list[str]:
    """Return the label of each sample."""
    return [listing.labels[number] for number in listing.samples["label"]]


def column(listing: Listing, name: str) -> list:
    """Return a column of the samples."""
    return listing.samples[name].to_list()


def counted(listing: Listing) -> int:
    """Return the number of listed samples and of those that the notes say are left out."""
    return len(listing.samples) + left_out(listing)


def check_listing(dataset: Dataset) -> Listing | None:
    """List a dataset whose files may be damaged: return its listing, which must be consistent, or None if refused."""
    try:
        listing = dataset.listing()
    except EMMSError:
        return None
    samples = listing.samples
    assert not samples["id"].is_duplicated().any()
    assert samples.null_count().sum_horizontal().item() == 0
    assert set(samples["label"]) == set(range(len(listing.labels)))
    root = str(getattr(dataset, "images", None) or "")
    assert all(path.startswith(root) for path in samples["path"])
    for text in [*listing.labels, *listing.notes, *samples["id"]]:
        text.encode()  # no halves of characters
    return listing


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Return file contents with some bytes removed, inserted or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 30)))
        piece = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"", b"\n", b"\r\n", b'"', b"null", b"-1", b"1e999", data[at:until]])
        )
        data = data[:at] + piece + data[draw(st.sampled_from([at, until])) :]
    return data
