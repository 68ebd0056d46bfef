"""What a picture of a scene shows, from its pixels alone, and what an expression refers to."""

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from emms.datasets.scene_pictures import RGB
from emms.datasets.scene_words import COLOURS, SHAPES


@dataclass(frozen=True)
class Seen:
    """An object: its colour, its size, and its box in pixels (left, top, right, bottom; the latter two exclusive)."""

    colour: str
    size: str
    box: tuple[int, int, int, int]

    @property
    def cell(self) -> tuple[int, int]:
        """Its row and column, of three."""
        left, top, right, bottom = self.box
        return (top + bottom) * 3 // 448, (left + right) * 3 // 448


def seen(picture: Image.Image) -> list[Seen]:
    """Return the objects: connected pixels whose colour is near to a named one."""
    pixels = np.asarray(picture).astype(int)
    found = []
    for colour in COLOURS:
        areas, _ = ndimage.label(np.abs(pixels - RGB[colour]).max(-1) <= 30, np.ones((3, 3)))
        for number, (rows, columns) in enumerate(ndimage.find_objects(areas), 1):
            if (areas[rows, columns] == number).sum() > 60:  # not an edge, where two colours mix
                side = max(rows.stop - rows.start, columns.stop - columns.start)
                size = "small" if side <= 34 else "medium" if side <= 48 else "large"
                found.append(Seen(colour, size, (columns.start, rows.start, columns.stop, rows.stop)))
    return found


LOOKS = rf"(?:(small|medium|large) ?)?(?:({'|'.join(COLOURS)}) ?)?({'|'.join(SHAPES)}|object)"
SIDES = {
    "to the left of": lambda one, other: one.column < other.column,
    "to the right of": lambda one, other: one.column > other.column,
    "above": lambda one, other: one.row < other.row,
    "below": lambda one, other: one.row > other.row,
}
PLACE = r"(?:at the|on the|in the) (?:(?:top|bottom) (?:left|right)|top|bottom|left|right|middle)"
EXPRESSION = re.compile(
    rf"the (?:(leftmost|rightmost|topmost|bottommost) )?{LOOKS}(?: ({PLACE})|(?: ({'|'.join(SIDES)}) the (.*)))?"
)
ROWS, COLUMNS = {"top": 0, "bottom": 2}, {"left": 0, "right": 2}


def meant(scene, text: str) -> list:
    """Return the objects that an expression fits."""
    end, size, colour, shape, place, side, of = EXPRESSION.fullmatch(text).groups()
    found = [t for t in scene.things if t.size == (size or t.size) and t.colour == (colour or t.colour)]
    found = [t for t in found if shape in {t.shape, "object"}]
    if place:
        words = place.split()[2:]
        row = next((ROWS[w] for w in words if w in ROWS), 1)
        column = next((COLUMNS[w] for w in words if w in COLUMNS), 1)
        found = [t for t in found if (t.row, t.column) == (row, column)]
    if side:
        (other,) = meant(scene, f"the {of}")
        found = [t for t in found if SIDES[side](t, other)]
    if end:
        far = {"leftmost": lambda t: t.x, "rightmost": lambda t: -t.x}
        far |= {"topmost": lambda t: t.y, "bottommost": lambda t: -t.y}
        found = [min(found, key=far[end])] if len(found) > 1 else []
    return found
