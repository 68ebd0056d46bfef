"""Images of any format and any type of pixel are read as RGB, upright, on white; other files raise."""

import contextlib
import io
import os
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emms.datasets.images import read_image
from emms.errors import BadSampleError

WHITE, RED = (255, 255, 255), (255, 0, 0)


def encoded(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def pixels(image, format="PNG", **options):
    read = read_image(encoded(image, format, **options))
    assert read.mode == "RGB"
    return np.asarray(read)


def gradient(height=6, width=8):
    return np.arange(height * width, dtype=np.uint8).reshape(height, width) * 5


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "WEBP"])
def test_lossless_formats_are_read_exactly(format):
    grey = np.repeat(gradient(16, 16)[..., None], 3, axis=2)
    options = {"lossless": True} if format == "WEBP" else {}
    np.testing.assert_array_equal(pixels(Image.fromarray(grey), format, **options), grey)


@pytest.mark.parametrize("format", ["JPEG", "AVIF", "WEBP"])
def test_lossy_formats_are_read_approximately(format):
    grey = np.repeat(gradient()[..., None], 3, axis=2)
    assert np.abs(pixels(Image.fromarray(grey), format, quality=95).astype(int) - grey).mean() < 6


def test_reads_a_path(tmp_path):
    Image.new("RGB", (3, 2), RED).save(tmp_path / "red.png")
    assert read_image(str(tmp_path / "red.png")).getpixel((0, 0)) == RED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied(orientation, format):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[8:, 16:] = 255, 128  # the quarters distinguish all eight orientations
    # A camera stores the picture with the inverse of the operation that the orientation describes.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = pixels(Image.fromarray(np.ascontiguousarray(stored)), format, exif=exif)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 4


def test_unreadable_exif_is_ignored():
    file = encoded(Image.new("RGB", (4, 4), RED), "JPEG", exif=b"Exif\0\0MM\0*garbage")
    assert read_image(file).size == (4, 4)


def test_alpha_is_composited_on_white():
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)])
    read = pixels(rgba)
    np.testing.assert_array_equal(read[0, :2], [RED, WHITE])
    np.testing.assert_allclose(read[0, 2], 127, atol=1)


def test_grey_with_alpha():
    image = Image.new("LA", (2, 1))
    image.putdata([(0, 0), (100, 255)])
    np.testing.assert_array_equal(pixels(image), [[WHITE, (100, 100, 100)]])


def test_palette_with_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    np.testing.assert_array_equal(pixels(image), [[RED, (0, 0, 255)]])
    np.testing.assert_array_equal(pixels(image, transparency=1), [[RED, WHITE]])
    np.testing.assert_array_equal(pixels(image, "GIF", transparency=1), [[RED, WHITE]])


def test_palette_with_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.putdata([0, 1])
    read = pixels(image, transparency=bytes([255, 128]))
    np.testing.assert_allclose(read, [[RED, (127, 127, 127)]], atol=1)


def test_a_transparent_colour_without_an_alpha_channel():
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), (1, 2, 3))
    np.testing.assert_array_equal(pixels(image, transparency=(1, 2, 3)), [[RED, WHITE]])


def test_one_bit():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(pixels(image), [[(0, 0, 0), WHITE]])


def test_cmyk():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    np.testing.assert_array_equal(pixels(image, "TIFF")[0, 0], RED)
    np.testing.assert_allclose(pixels(image, "JPEG", quality=100)[0, 0], RED, atol=3)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(format):
    values = np.array([[0, 257, 257 * 128, 65535]], np.uint16)
    np.testing.assert_array_equal(pixels(Image.fromarray(values), format)[..., 0], [[0, 1, 128, 255]])


def test_sixteen_bits_big_endian():
    image = Image.frombytes("I;16B", (2, 1), np.array([257, 65535], ">u2").tobytes())
    np.testing.assert_array_equal(pixels(image, "TIFF")[..., 0], [[1, 255]])


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        (np.array([[0, 1000, 65535]], np.int32), [0, 4, 255]),
        (np.array([[0, 100, 200]], np.int32), [0, 100, 200]),
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**20, 2**21]], np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 254.6]], np.float32), [0, 100, 255]),
        (np.array([[-1, 0, 1]], np.float32), [0, 128, 255]),
        (np.array([[7e9, 7e9, 7e9]], np.float32), [0, 0, 0]),
    ],
)
def test_integers_and_floats_of_32_bits(values, grey):
    np.testing.assert_array_equal(pixels(Image.fromarray(values), "TIFF")[0, :, 1], grey)


def test_floats_that_are_not_finite():
    with pytest.raises(BadSampleError, match="nan or infinite"):
        pixels(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF")


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(format):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), (0, 0, 255))
    options = {"lossless": True} if format == "WEBP" else {}
    read = pixels(first, format, save_all=True, append_images=[second], **options)
    np.testing.assert_array_equal(read, np.broadcast_to(RED, (8, 8, 3)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000"])
def test_truncated(format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format).getvalue()
    for size in (len(data) // 2, 40, 1):
        with pytest.raises(BadSampleError, match="restore it"):
            read_image(io.BytesIO(data[:size]))


def test_corrupt():
    data = bytearray(encoded(Image.fromarray(gradient(64, 64))).getvalue())
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BadSampleError, match="damaged"):
        read_image(io.BytesIO(data))


@given(st.binary(max_size=200), st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"]))
def test_any_damage_gives_an_image_or_a_bad_sample(damage, format):
    data = encoded(Image.fromarray(gradient(16, 16)), format).getvalue()
    start = len(damage) % len(data)
    file = io.BytesIO(data[:start] + damage + data[start + len(damage) // 2 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(BadSampleError):
            assert read_image(file).mode == "RGB"


def test_empty_and_not_an_image(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image at all")
    with pytest.raises(BadSampleError, match="empty"):
        read_image(str(tmp_path / "empty.png"))
    with pytest.raises(BadSampleError, match="not an image"):
        read_image(str(tmp_path / "text.png"))
    with pytest.raises(BadSampleError, match="empty"):
        read_image(io.BytesIO())


def test_missing(tmp_path):
    with pytest.raises(BadSampleError, match="No such file"):
        read_image(str(tmp_path / "none.png"))
    with pytest.raises(BadSampleError, match="a folder, not a regular file; remove it"):
        read_image(str(tmp_path))


@pytest.mark.timeout(20)
def test_a_named_pipe_or_a_device_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name, kind in (("pipe", "named pipe"), ("link", "named pipe"), ("device", "device")):
        with pytest.raises(BadSampleError, match=f"^a {kind}, not a regular file; remove it, or put the image in its"):
            read_image(str(tmp_path / f"{name}.png"))


def test_two_hundred_million_pixels_are_refused_from_the_header(tmp_path, recwarn):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(BadSampleError, match=r"too large .*200000000 pixels.*scale it down"):
        read_image(str(tmp_path / "huge.png"))
    assert not recwarn.list


def test_page_description_languages_are_not_interpreted():
    with pytest.raises(BadSampleError, match=r"PostScript that is damaged or not supported; .* convert it to PNG"):
        read_image(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"))
