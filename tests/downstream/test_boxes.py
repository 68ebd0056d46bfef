"""Boxes as text in 1,000 bins, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.downstream.boxes import BINS, Box, box_label, in_bins, parse_box, split_label

BINNED = st.integers(0, BINS - 1)
BOXES = st.builds(Box, BINNED, BINNED, BINNED, BINNED)


@given(expression=st.text(), box=BOXES)
def test_round_trip(expression, box):
    label = box_label(expression, box)
    assert parse_box(label) == box
    assert split_label(label) == (" ".join(expression.split()), box_label("", box))


@given(
    edges=st.tuples(*[st.floats(-2000, 4000)] * 4),
    width=st.floats(1, 3000),
    height=st.floats(1, 3000),
)
def test_the_bins_of_a_box_contain_its_edges(edges, width, height):
    box = in_bins(*edges, width, height)
    left, top, right, bottom = max(edges[0], 0), max(edges[1], 0), min(edges[2], width), min(edges[3], height)
    assert (box is None) == (not (left < right and top < bottom))
    if box is not None:
        for found, edge, size in zip(box, (left, top, right, bottom), (width, height) * 2, strict=True):
            assert 0 <= found < BINS
            assert found <= edge / size * BINS * (1 + 1e-9)
            assert edge / size * BINS <= found + 1 + 1e-9


@given(st.data(), st.integers(1, 10_000))
def test_edges_in_whole_pixels_are_in_their_bin_exactly(data, size):
    left = data.draw(st.integers(0, size - 1))
    right = data.draw(st.integers(left + 1, size))
    expected = [min(edge * BINS // size, BINS - 1) for edge in (left, right)]
    assert in_bins(left, left, right, right, size, size) == Box(*(expected[i] for i in (0, 0, 1, 1)))


@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e308])
def test_sizes_that_no_image_has(size):
    assert in_bins(0, 0, size, size, size, size) == Box(0, 0, 999, 999)


@pytest.mark.parametrize("edges", [(float("nan"), 0, 1, 1), (0, float("nan"), 1, 1), (0, 0, float("nan"), 1)])
def test_a_box_with_nan_is_none(edges):
    assert in_bins(*edges, 10, 10) is None


@pytest.mark.parametrize("text", ["", "the dog", "[1, 2, 3]", "[1, 2, 3, 1000]", "[-1, 2, 3, 4]", "[١, 2, 3, 4]"])
def test_other_texts_have_no_box(text):
    assert parse_box(text) is None
    assert split_label(text) is None


def test_the_last_box_counts():
    assert parse_box("[1, 2, 3, 4] or [5, 6, 7, 8]") == Box(5, 6, 7, 8)
    assert split_label("[1, 2, 3, 4] or [5, 6, 7, 8]") == ("[1, 2, 3, 4] or", "[5, 6, 7, 8]")
    assert split_label("[1, 2, 3, 4] or") is None
