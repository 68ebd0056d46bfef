"""The shapes of objects in pictures of scenes, each within the square from -1000 to 1000; y points down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_Points = np.ndarray
_Inside = Callable[[_Points, _Points], np.ndarray]


def inside(shape: str, x: _Points, y: _Points) -> np.ndarray:
    """Return which points lie inside a shape; x and y are arrays of integers that broadcast against each other."""
    return _SHAPES[shape](x, y)


def _disc(radius: int, centre: tuple[int, int] = (0, 0)) -> _Inside:
    return lambda x, y: (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2


def _bar(left: int, top: int, right: int, bottom: int) -> _Inside:
    return lambda x, y: (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def _polygon(*corners: tuple[int, int]) -> _Inside:
    """Return a polygon: a ray from a point inside crosses its edges an odd number of times."""

    def contains(x: _Points, y: _Points) -> np.ndarray:
        odd = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
            side = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
            odd ^= ((y < y0) != (y < y1)) & ((side < 0) == (y0 < y1))
        return odd

    return contains


def _any(*parts: _Inside) -> _Inside:
    return lambda x, y: np.logical_or.reduce(np.broadcast_arrays(*(part(x, y) for part in parts)))


def _without(whole: _Inside, part: _Inside) -> _Inside:
    return lambda x, y: whole(x, y) & ~part(x, y)


_SHAPES: dict[str, _Inside] = {
    "circle": _disc(980),
    "square": _bar(-860, -860, 860, 860),
    "triangle": _polygon((0, -950), (960, 850), (-960, 850)),
    "star": _polygon(
        *((0, -1000), (235, -324), (951, -309), (380, 124), (588, 809)),
        *((0, 400), (-588, 809), (-380, 124), (-951, -309), (-235, -324)),
    ),
    "heart": _any(
        _disc(490, (-460, -360)), _disc(490, (460, -360)), _polygon((-890, -130), (0, -330), (890, -130), (0, 930))
    ),
    "cross": _any(_bar(-300, -950, 300, 950), _bar(-950, -300, 950, 300)),
    "diamond": _polygon((0, -980), (700, 0), (0, 980), (-700, 0)),
    "ring": _without(_disc(980), _disc(580)),
    "moon": _without(_disc(980), _disc(820, (430, -130))),
    "arrow": _any(_bar(-950, -260, 150, 260), _polygon((100, -800), (960, 0), (100, 800))),
    "house": _any(_bar(-680, -150, 680, 900), _polygon((0, -950), (960, -130), (-960, -130))),
    "tree": _any(
        _polygon((0, -980), (560, -120), (-560, -120)),
        _polygon((0, -520), (800, 480), (-800, 480)),
        _bar(-170, 400, 170, 950),
    ),
}
