"""Recognition of image formats by their first bytes, and the extensions of formats that are read."""

import io
import subprocess
import sys

import pillow_heif
import pytest
from PIL import Image

from emms.datasets.image_formats import KNOWN_EXTENSIONS, SIGNATURE_LENGTH, image_extensions, image_formats, recognise

WRITTEN = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "GIF": "GIF",
    "BMP": "BMP",
    "TIFF": "TIFF",
    "WEBP": "WebP",
    "AVIF": "AVIF",
    "JPEG2000": "JPEG 2000",
    "PDF": "PDF",
    "EPS": "PostScript",
    "DDS": "DDS",
    "QOI": "QOI",
    "HEIF": "HEIC",
}


@pytest.mark.parametrize("format", WRITTEN)
def test_recognise_formats_that_pillow_writes(format):
    if format == "HEIF":
        pillow_heif.register_heif_opener()
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, format)
    assert recognise(file.getvalue()[:SIGNATURE_LENGTH]) == WRITTEN[format]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x18ftypcrx ", "Canon raw"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm raw"),
        (bytes(128) + b"DICM", "DICOM"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
        (b"BMI of 40 patients, by age", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"<html><body>", None),
        (b"", None),
    ],
)
def test_recognise_other_formats(start, kind):
    assert recognise(start) == kind


def test_extensions():
    read = image_extensions()
    assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".mpo"} <= read
    assert not {".txt", ".db", ".pdf", ".h5", ".mpg", ".eps", ".json"} & read
    assert {".eps", ".pdf", ".wmf"} <= KNOWN_EXTENSIONS


def test_common_formats_are_tried_first():
    formats = image_formats()
    assert formats[:3] == ["JPEG", "PNG", "WEBP"]
    assert len(set(formats)) == len(formats)
    assert "EPS" not in formats


@pytest.mark.parametrize(
    "first", ["PIL.Image; PIL.Image.init()", "PIL.Image; PIL.Image.preinit()", "pillow_heif", "emms"]
)
def test_heic_is_read_in_any_order_of_imports(first):
    code = f"""
import {first}
from emms.datasets.image_formats import image_extensions, image_formats, register_heic
import io, PIL.Image, pillow_heif
assert ".heic" in image_extensions() and ".heic" in image_extensions()
assert register_heic() and image_formats().count("HEIF") == 1
assert image_formats().index("AVIF") < image_formats().index("HEIF")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_pillow_plugin_that_is_registered_later_is_used():
    code = """
from PIL import Image
from emms.datasets.image_formats import image_extensions, image_formats
assert ".new" not in image_extensions()
Image.register_open("NEW", Image.Image)
Image.register_extension("NEW", ".new")
assert ".new" in image_extensions() and "NEW" in image_formats()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
