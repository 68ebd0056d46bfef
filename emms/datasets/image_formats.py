"""Which image formats are read, and how to recognise images of formats that are not read."""

from __future__ import annotations

from PIL import Image

# Formats that Pillow registers but that are not read: some it can only write or recognise, some are not images, and
# EPS and WMF are drawing programs, which reading a dataset should not execute.
_NOT_READ = frozenset({"PDF", "PALM", "BUFR", "GRIB", "HDF5", "MPEG", "EPS", "WMF"})
_FIRST = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # AVIF before HEIF: their files can start the same

HEIC_REMEDY = "install pillow-heif (pip install pillow-heif)"
HEIC_EXTENSIONS = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
DOCUMENT_EXTENSIONS = frozenset({".ai", ".eps", ".pdf", ".ps", ".svg", ".svgz"})
KNOWN_EXTENSIONS = (
    HEIC_EXTENSIONS
    | DOCUMENT_EXTENSIONS
    # camera formats
    | {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
    # other formats
    | {".avif", ".avifs", ".bpg", ".dcm", ".djvu", ".emf", ".exr", ".flif", ".hdr", ".jls", ".jp2", ".jxl", ".jxr"}
    | {".kra", ".palm", ".psb", ".psd", ".wdp", ".webp", ".wmf", ".xcf"}
)
"""Extensions of image formats, in lower case and with their dot, read here or not."""

SIGNATURE_LENGTH = 256
"""Bytes of a file that `recognise` needs."""

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),  # also the start of most camera formats
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"%PDF-", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"gimp xcf", "GIMP"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})


def image_extensions() -> frozenset[str]:
    """Return the extensions of the formats that are read, in lower case and with their dot."""
    register_heic()
    return frozenset(e for e, name in Image.registered_extensions().items() if _is_read(name))


def image_formats() -> list[str]:
    """Return Pillow's names of the formats that are read, common ones first."""
    Image.init()
    return [*(n for n in _FIRST if n in Image.OPEN), *(n for n in Image.ID if n not in _FIRST and _is_read(n))]


def register_heic() -> bool:
    """Register HEIC and HEIF with Pillow if pillow-heif is installed, and return whether Pillow reads them."""
    Image.init()  # in either case, so that Pillow's own formats come before those added to it
    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener

            register_heif_opener()
        except ImportError:  # not installed, or its library cannot be loaded
            return False
    return True


def recognise(start: bytes) -> str | None:
    """Return the name of the image format of a file that starts with these bytes, or None if it is not an image."""
    for signature, name in _STARTS:
        if start.startswith(signature):
            return name
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "Canon raw"}.get(
            brand, "HEIC" if brand in _HEIC_BRANDS else None
        )
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if start[128:132] == b"DICM":
        return "DICOM"
    if start.lstrip()[:1] == b"<" and b"<svg" in start:
        return "SVG"
    return None


def _is_read(name: str) -> bool:
    return name not in _NOT_READ
