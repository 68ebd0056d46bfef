"""Read images of any format as RGB, rotated upright, on a white background."""

from __future__ import annotations

from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from emms.datasets.image_formats import HEIC_REMEDY, SIGNATURE_LENGTH, image_formats, recognise, register_heic
from emms.datasets.quiet_pillow import quiet_pillow
from emms.errors import BadSampleError, MissingDecoderError, shortened
from emms.files import NotRegularFileError, open_regular

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Operation that rotates an image of each EXIF orientation upright."""


def read_image(file: str | BinaryIO) -> Image.Image:
    """Read an image as RGB: the first frame of an animation, rotated upright by its EXIF orientation, on white.

    `file` is a path or a file open for reading. 16-bit grey is scaled to 8 bits; 32-bit integers and floats are
    scaled from the range 0 to 1, 255 or 65535, the smallest that contains their values, or else from their own range.
    HEIC is read if pillow-heif is installed. Does not warn or block, and is thread-safe.
    Raises BadSampleError, with the reason and the remedy but not the file's name, if it is missing, not a regular
    file, empty, truncated, corrupt, not an image, or has more pixels than Pillow decodes (179 million).
    """
    try:
        with open_regular(file) if isinstance(file, str) else nullcontext(file) as opened:
            start = opened.read(SIGNATURE_LENGTH)
            if not start:
                raise BadSampleError("empty (0 bytes); restore it from its source")
            if recognise(start) == "HEIC":
                register_heic()
            rgb = _decode(opened, start)
    except BadSampleError:
        raise
    except NotRegularFileError as cause:
        raise BadSampleError(f"{cause.strerror}; remove it, or put the image in its place") from cause
    except OSError as cause:
        if cause.strerror:  # from the operating system, not from Pillow: no such file, permission denied, …
            raise BadSampleError(f"cannot be opened ({cause.strerror}); restore it or fix its permissions") from cause
        raise _damaged(cause) from cause
    except MemoryError:
        raise  # a problem of the machine, not of the image
    except Exception as cause:  # decoders raise exceptions of any type
        raise _damaged(cause) from cause
    return rgb


def image_size(file: str | BinaryIO) -> tuple[int, int]:
    """Return the width and height in pixels of an image that is rotated upright, from its header.

    Raises BadSampleError if there is no image with a header.
    """
    try:
        with (
            open_regular(file) if isinstance(file, str) else nullcontext(file) as opened,
            quiet_pillow(),
            Image.open(opened, formats=image_formats()) as image,
        ):
            width, height = image.size
            return (height, width) if _orientation(image) >= 5 else (width, height)
    except MemoryError:
        raise
    except Exception as cause:  # decoders raise exceptions of any type
        raise BadSampleError(f"missing, or not an image ({shortened(cause)}); restore it from its source") from cause


def _decode(file: BinaryIO, start: bytes) -> Image.Image:
    try:
        with quiet_pillow(), Image.open(file, formats=image_formats()) as image:
            image.load()
            upright = _UPRIGHT.get(_orientation(image))
            rgb = _rgb(image)
            return rgb if upright is None else rgb.transpose(upright)
    except UnidentifiedImageError:
        raise _unidentified(start) from None
    except Image.DecompressionBombError as cause:
        size = str(cause).partition(",")[0]
        raise BadSampleError(f"too large ({size}); scale it down") from None


def _unidentified(start: bytes) -> BadSampleError:
    kind = recognise(start)
    if kind == "HEIC" and not register_heic():
        return MissingDecoderError(f"a HEIC image; {HEIC_REMEDY}, or convert it to JPEG")
    if kind is not None:
        return BadSampleError(f"{kind} that is damaged or not supported; restore it, or convert it to PNG or JPEG")
    return BadSampleError("not an image, or damaged at its start; restore it, or convert it to PNG or JPEG")


def _damaged(cause: Exception) -> BadSampleError:
    return BadSampleError(f"truncated or damaged ({cause}); restore it from its source")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8. An unreadable EXIF block is ignored, as image viewers do."""
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
