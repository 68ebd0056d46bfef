"""Pictures of scenes, computed with integers alone, so that their pixels are the same on every machine."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from emms.datasets.scene_graph import SIDE, Scene, Thing
from emms.datasets.scene_shapes import inside

RGB = {
    "red": (214, 40, 40),
    "orange": (245, 130, 30),
    "yellow": (240, 215, 50),
    "green": (40, 150, 60),
    "blue": (40, 80, 205),
    "purple": (130, 45, 165),
    "white": (240, 240, 240),
    "black": (18, 18, 18),
}
_SAMPLES = 4  # samples per pixel, in each direction, for smooth edges
_FULL = _SAMPLES**2
_TILE = 16  # pixels; the texture of the background consists of tiles or stripes of this width
_TEXTURES = ((SIDE // _TILE, SIDE // _TILE), (SIDE // _TILE, 1), (1, SIDE // _TILE))
_TINT, _TEXTURE, _SHADE, _NOISE = 12, 10, 10, 6  # largest deviations from a colour, of 255


def box(thing: Thing) -> tuple[int, int, int, int]:
    """Return the box of an object in pixels: left, top, right and bottom, the latter two exclusive.

    It contains all pixels of which the object covers at least half.
    """
    rows, columns = np.nonzero(2 * _coverage(thing.shape, thing.radius) >= _FULL)
    left, top = thing.x - thing.radius, thing.y - thing.radius
    return (
        left + int(columns.min()),
        top + int(rows.min()),
        left + int(columns.max()) + 1,
        top + int(rows.max()) + 1,
    )


def draw_picture(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Draw a scene on a textured background with noise: an RGB image of SIDE x SIDE pixels."""
    pixels = _background(rng)
    for thing in scene.things:
        colour = np.array(RGB[thing.colour]) + _deviation(rng, _SHADE, (3,))
        covered = _coverage(thing.shape, thing.radius)[..., None]
        rows = slice(thing.y - thing.radius, thing.y + thing.radius)
        columns = slice(thing.x - thing.radius, thing.x + thing.radius)
        behind = pixels[rows, columns]
        pixels[rows, columns] = (covered * colour + (_FULL - covered) * behind) // _FULL
    pixels += _deviation(rng, _NOISE, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _background(rng: np.random.Generator) -> np.ndarray:
    """Return a greyish background with tiles or stripes, (SIDE, SIDE, 3)."""
    colour = int(rng.integers(105, 161)) + _deviation(rng, _TINT, (3,))
    rows, columns = _TEXTURES[int(rng.integers(len(_TEXTURES)))]
    texture = _deviation(rng, _TEXTURE, (rows, columns)).repeat(SIDE // rows, 0).repeat(SIDE // columns, 1)
    return texture[..., None] + colour


def _deviation(rng: np.random.Generator, most: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-most, most, shape, endpoint=True)


@cache
def _coverage(shape: str, radius: int) -> np.ndarray:
    """Return how many of its 16 samples of each pixel lie inside a shape, (2 radius, 2 radius)."""
    steps = 2 * radius * _SAMPLES
    at = (2 * np.arange(steps) + 1 - steps) * 1000 // steps
    samples = inside(shape, at[None, :], at[:, None])
    return samples.reshape(2 * radius, _SAMPLES, 2 * radius, _SAMPLES).sum((1, 3), dtype=np.int64)
