"""HEIC is read with pillow-heif; without it, messages name the missing package."""

import io
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from emms.datasets.imagefolder import ImageFolder
from emms.datasets.images import read_image
from emms.datasets.parquet import ParquetImages
from emms.errors import BadSampleError


def heic(pixels, **options):
    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "HEIF", quality=90, **options)
    return file.getvalue()


def quarters(channels=3):
    """Return 32 x 64 pixels with a different shade in each quarter."""
    pixels = np.zeros((32, 64, channels), np.uint8)
    pixels[:16, :32], pixels[:16, 32:], pixels[16:, 32:] = 255, 80, 160
    return pixels


@pytest.fixture
def photos(tmp_path):
    """Return a folder of two classes, the first of which has a PNG and HEIC files."""
    for name in ("apple", "pear"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), "green").save(tmp_path / "photos" / name / "0.png")
    for i in range(3):
        (tmp_path / "photos" / "apple" / f"IMG_{i}.HEIC").write_bytes(heic(quarters()))
    return tmp_path / "photos"


def test_pixels():
    assert np.abs(np.asarray(read_image(io.BytesIO(heic(quarters())))).astype(int) - quarters()).mean() < 3


def test_exif_rotation_is_applied_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(quarters()))  # rotated upright by orientation 6
    read = np.asarray(read_image(io.BytesIO(heic(stored, exif=exif.tobytes()))))
    assert read.shape == (32, 64, 3)
    assert np.abs(read.astype(int) - quarters()).mean() < 3


def test_transparent_areas_become_white():
    pixels = quarters(4)
    pixels[:16, :, 3], pixels[16:, :, 3] = 0, 255
    read = np.asarray(read_image(io.BytesIO(heic(pixels))))
    assert (read[:14] > 250).all()
    assert np.abs(read[18:].astype(int) - pixels[18:, :, :3]).mean() < 3


def test_damaged():
    data = heic(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    for size in (len(data) // 2, 40):
        with pytest.raises(BadSampleError, match="restore it"):
            read_image(io.BytesIO(data[:size]))


def test_an_avif_image_in_a_file_that_starts_like_heic():
    file = io.BytesIO()
    Image.fromarray(quarters()).save(file, "AVIF", quality=90)
    data = file.getvalue()
    assert data[8:12] == b"avif"
    read = np.asarray(read_image(io.BytesIO(data[:8] + b"mif1" + data[12:])))
    assert np.abs(read.astype(int) - quarters()).mean() < 4


def test_in_a_folder(photos):
    dataset = ImageFolder(path=photos)
    listing = dataset.listing()
    assert listing.samples["id"].to_list() == [
        *(f"apple/{n}" for n in ("0.png", "IMG_0.HEIC", "IMG_1.HEIC", "IMG_2.HEIC")),
        "pear/0.png",
    ]
    assert listing.notes == []
    assert dataset.load(listing.samples.row(1, named=True)).image.size == (64, 32)


WITHOUT = """
import sys
sys.modules["pillow_heif"] = None  # importing it fails, as if it were not installed
from emms.datasets.imagefolder import ImageFolder
from emms.datasets.images import read_image
from emms.datasets.parquet import ParquetImages
from emms.errors import EMMSError
"""


def without(code, *arguments):
    """Run code in a process without pillow-heif and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_pillow_heif_they_are_counted(photos):
    code = """
listing = ImageFolder(path=sys.argv[1]).listing()
print(len(listing.samples), *listing.notes)
"""
    assert without(code, photos) == (
        "2 3 files that look like images are not read: 3 .heic (first: apple/IMG_0.HEIC); "
        "install pillow-heif (pip install pillow-heif) or convert them"
    )


def test_without_pillow_heif_a_class_of_nothing_else_is_an_error(photos):
    (photos / "apple" / "0.png").unlink()
    code = """
try:
    ImageFolder(path=sys.argv[1]).listing()
except EMMSError as error:
    print(error)
"""
    assert without(code, photos) == (
        f"class folder '{photos}/apple' has only images that are not read: "
        "3 .heic (first: apple/IMG_0.HEIC); install pillow-heif (pip install pillow-heif) or convert them"
    )


def test_without_pillow_heif_a_heic_file_of_another_name_is_a_bad_sample(photos):
    (photos / "apple" / "IMG_0.HEIC").rename(photos / "apple" / "1.jpg")
    code = """
try:
    read_image(sys.argv[1])
except EMMSError as error:
    print(error)
"""
    expected = "a HEIC image; install pillow-heif (pip install pillow-heif), or convert it to JPEG"
    assert without(code, photos / "apple" / "1.jpg") == expected


def test_in_a_parquet_cell(tmp_path):
    import polars as pl

    frame = pl.DataFrame({"image": [heic(quarters())] * 2, "label": ["a", "b"]})
    frame.write_parquet(tmp_path / "x.parquet")
    code = """
dataset = ParquetImages(path=sys.argv[1])
try:
    dataset.load(dataset.listing().samples.row(0, named=True))
except EMMSError as error:
    print(error)
"""
    assert "a HEIC image; install pillow-heif" in without(code, tmp_path / "x.parquet")
    dataset = ParquetImages(path=tmp_path / "x.parquet")
    assert dataset.load(dataset.listing().samples.row(0, named=True)).image.size == (64, 32)
