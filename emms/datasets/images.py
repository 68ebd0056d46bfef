"""One way to read an image, whatever its format and pixels: RGB, upright, transparent parts on white."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from functools import cache
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from emms.errors import BadSampleError

# Pillow registers these too, but it only writes them (MPO aside), only recognises them, or hands them to an interpreter
# of a page description language, which is no way to treat somebody's files.
_NOT_READ = frozenset({"PDF", "PALM", "BUFR", "GRIB", "HDF5", "MPEG", "EPS", "WMF"})
_COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of this EXIF orientation upright."""

# Between 89 and 179 million pixels Pillow reads an image and warns. That is a large photograph, not an attack, and
# `catch_warnings` around one call is not safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@cache
def image_extensions() -> frozenset[str]:
    """Return the extensions of image files, in lower case and with their dot."""
    return frozenset(e for e, name in Image.registered_extensions().items() if name not in _NOT_READ)


def read_image(file: str | BinaryIO) -> Image.Image:
    """Read an image, of an animation the first frame, as RGB: upright by its EXIF rotation, composited on white.

    `file` is a path or a file open for reading. 16-bit grey is scaled to 8 bits; 32-bit integers and floats are
    scaled by the smallest of 1, 255 and 65535 that holds their values, or from their least to their largest value.
    Raises BadSampleError, with the reason and the remedy but not the file's name, if it is missing, empty, truncated,
    corrupt, no image, or has more pixels than Pillow decodes (179 million).
    """
    try:
        with open(file, "rb") if isinstance(file, str) else nullcontext(file) as opened:
            if not opened.read(1):
                raise BadSampleError("empty (0 bytes); restore it from its source")
            with Image.open(opened, formats=_formats()) as image:
                image.load()
                upright = _UPRIGHT.get(_orientation(image))
                rgb = _rgb(image)
    except BadSampleError:
        raise
    except MemoryError:
        raise  # says something about the machine, not about the image
    except UnidentifiedImageError:
        raise BadSampleError(
            "not an image, or damaged at its start; restore it, or convert it to PNG or JPEG"
        ) from None
    except Image.DecompressionBombError as cause:
        size = str(cause).partition(",")[0]
        raise BadSampleError(f"too large ({size}); scale it down") from None
    except OSError as cause:
        if cause.strerror:  # the system's, not Pillow's: no such file, permission denied, …
            raise BadSampleError(f"cannot be opened ({cause.strerror}); restore it or mend its permissions") from cause
        raise _damaged(cause) from cause
    except Exception as cause:  # of any type: whatever a decoder stumbles over
        raise _damaged(cause) from cause
    return rgb.transpose(upright) if upright is not None else rgb


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return *_COMMON, *(name for name in Image.ID if name not in _NOT_READ and name not in _COMMON)


def _damaged(cause: Exception) -> BadSampleError:
    return BadSampleError(f"truncated or damaged ({cause}); restore it from its source")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8. An unreadable EXIF block is ignored, as every viewer does."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image, np.float64), image.mode)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Scale grey values of more than 8 bits, (height, width), to 0..255."""
    if not np.isfinite(values).all():
        raise BadSampleError("has pixels that are nan or infinite; give them values")
    low, high = values.min(), values.max()
    scales = {"F": (1.0, 255.0, 65535.0), "I": (255.0, 65535.0)}.get(mode, (65535.0,))
    full = next((scale for scale in scales if low >= 0 and high <= scale), None)
    if full is None:
        values, full = values - low, (high - low) or 1.0
    return np.rint(values * 255.0 / full).astype(np.uint8)
