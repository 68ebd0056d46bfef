"""Pillow's warnings are silenced only in threads that read images."""

import io
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, TiffImagePlugin

from emms.datasets.images import read_image
from emms.datasets.quiet_pillow import quiet_pillow


@pytest.fixture(autouse=True)
def _limit_of_ten_thousand_pixels(monkeypatch):
    """Lower Pillow's limit of 89 million pixels, above which it warns, so that tests are fast."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)


def huge_tiff():
    """Return a TIFF above the limit, about which Pillow warns when it is opened and when it is loaded."""
    file = io.BytesIO()
    Image.new("1", (120, 120)).save(file, "TIFF", compression="group4")
    return file.getvalue()


def jpeg_with_damaged_exif():
    """Return a JPEG whose EXIF block ends in the middle, about which Pillow warns when it is opened."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0"
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


IMAGES = {"huge": huge_tiff(), "damaged EXIF": jpeg_with_damaged_exif()}


@pytest.mark.parametrize(("name", "warning"), [("huge", "exceeds limit"), ("damaged EXIF", "Corrupt EXIF data")])
def test_pillow_warns_about_these(name, warning):
    with pytest.warns(match=warning):
        Image.open(io.BytesIO(IMAGES[name])).load()


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("action", ["always", "error"])
def test_reading_is_quiet_with_any_filters(name, action):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            for image in pool.map(read_image, [io.BytesIO(IMAGES[name]) for _ in range(8)]):
                assert image.mode == "RGB"
        assert warnings.filters == before
    assert caught == []


def test_other_threads_still_get_warnings_with_the_right_line():
    inside, warned = threading.Event(), threading.Event()

    def reads():
        with quiet_pillow():
            inside.set()
            assert warned.wait(10)

    thread = threading.Thread(target=reads)
    thread.start()
    assert inside.wait(10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Image._decompression_bomb_check((120, 120))
    warned.set()
    thread.join()
    (warning,) = caught
    assert warning.category is Image.DecompressionBombWarning
    assert warning.filename == Image.__file__


def test_pillow_warns_again_after_the_block():
    read_image(io.BytesIO(IMAGES["huge"]))
    with pytest.warns(Image.DecompressionBombWarning):
        Image._decompression_bomb_check((120, 120))


def test_blocks_can_be_nested():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow():
            with quiet_pillow():
                pass
            Image._decompression_bomb_check((120, 120))


def test_other_attributes_of_the_module_are_unchanged():
    with quiet_pillow():
        assert TiffImagePlugin.warnings.catch_warnings is warnings.catch_warnings


def test_importing_emms_changes_no_filters_and_nothing_in_pillow():
    code = """
import warnings
import numpy, PIL.Image, polars, pyarrow.parquet, pydantic
before = list(warnings.filters)
import emms.datasets.images, emms.datasets.imagefolder, emms.datasets.parquet
assert warnings.filters == before, warnings.filters
assert PIL.Image.warnings is warnings
"""
    subprocess.run([sys.executable, "-c", code], check=True)
