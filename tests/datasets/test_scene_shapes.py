"""Shapes of scenes: their areas, by formulas of geometry."""

import math

import numpy as np
import pytest

from emms.datasets.scene_shapes import inside
from emms.datasets.scene_words import SHAPES

GRID = np.arange(-1200, 1200, 10) + 5
STAR = [(0, -1000), (235, -324), (951, -309), (380, 124), (588, 809)]
STAR = [*STAR, (0, 400), *[(-x, y) for x, y in reversed(STAR[1:])]]


def drawn(shape: str) -> np.ndarray:
    return inside(shape, GRID[None, :], GRID[:, None])


def shoelace(corners: list[tuple[int, int]]) -> float:
    return (
        abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True))) / 2
    )


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("circle", math.pi * 980**2),
        ("ring", math.pi * (980**2 - 580**2)),
        ("square", 1720**2),
        ("cross", 2 * 600 * 1900 - 600**2),
        ("triangle", 1800 * 1920 / 2),
        ("diamond", 1960 * 1400 / 2),
        ("star", shoelace(STAR)),
        ("arrow", 1050 * 520 + 860 * 1600 / 2),
        ("house", 1360 * 1030 + 1920 * 820 / 2),
    ],
)
def test_areas(shape, area):
    assert drawn(shape).sum() * 100 == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_lies_within_its_square_and_fills_most_of_its_height(shape):
    ys, xs = np.nonzero(drawn(shape))
    assert min(GRID[xs].min(), GRID[ys].min()) >= -1000
    assert max(GRID[xs].max(), GRID[ys].max()) <= 1000
    assert np.ptp(GRID[ys]) > 1500


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in {"moon", "arrow"}])
def test_most_shapes_are_symmetric(shape):
    np.testing.assert_array_equal(drawn(shape), drawn(shape)[:, ::-1])
