"""Folders with one folder of images per class."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from emms.datasets import unread
from emms.datasets.image_formats import KNOWN_EXTENSIONS, image_extensions
from emms.datasets.imagefolder import ImageFolder
from emms.errors import BadSampleError, DatasetError
from emms.files import open_regular


def put(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


def encoded():
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


PNG = encoded()


@pytest.fixture
def photos(tmp_path):
    for name in ("dog/2.png", "dog/1.JPG", "cat/b.png", "cat/kittens/young/a.webp"):
        put(tmp_path / "photos" / name)
    return tmp_path / "photos"


def ids(folder):
    return ImageFolder(path=folder).listing().samples["id"].to_list()


def test_listing(photos):
    listing = ImageFolder(path=photos).listing()
    assert listing.labels == ["cat", "dog"]
    assert listing.samples.rows() == [
        ("cat/b.png", 0, f"{photos}/cat/b.png", 0),
        ("cat/kittens/young/a.webp", 0, f"{photos}/cat/kittens/young/a.webp", 0),
        ("dog/1.JPG", 1, f"{photos}/dog/1.JPG", 0),
        ("dog/2.png", 1, f"{photos}/dog/2.png", 0),
    ]


def test_load(photos):
    dataset = ImageFolder(path=photos)
    sample = dataset.load(dataset.listing().samples.row(3, named=True))
    assert sample.id == "dog/2.png"
    assert sample.image.mode == "RGB"
    assert sample.image.getpixel((0, 0)) == (255, 0, 0)


def test_files_that_are_not_images_are_ignored(photos):
    before = ids(photos)
    for name in ("cat/notes.txt", "cat/Thumbs.db", "cat/.hidden.png", "cat/noextension", "readme.md", ".DS_Store"):
        (photos / name).touch()
    put(photos / ".cache" / "x.png")
    put(photos / "cat" / ".thumbnails" / "x.png")
    os.mkfifo(photos / "cat" / "pipe")
    listing = ImageFolder(path=photos).listing()
    assert listing.samples["id"].to_list() == before
    assert listing.notes == []


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_bad_samples(photos):
    os.mkfifo(photos / "cat" / "1 pipe.png")
    (photos / "cat" / "2 link.png").symlink_to(photos / "cat" / "1 pipe.png")
    (photos / "cat" / "3 device.png").symlink_to("/dev/zero")
    dataset = ImageFolder(path=photos)
    samples = dataset.listing().samples.to_dicts()
    for record, kind in zip(samples[:3], ("named pipe", "named pipe", "device"), strict=True):
        with pytest.raises(BadSampleError, match=f"a {kind}, not a regular file; remove it"):
            dataset.load(record)


def test_images_that_are_not_read_are_counted_and_named(photos):
    for name in ("cat/2.NEF", "dog/3.nef", "dog/4.svg", "dog/deeper/5.jxl", "6.jxl", "paper.pdf"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    (photos / "dog" / "7").write_bytes((photos / "dog" / "2.png").read_bytes())
    (photos / "dog" / "8.jpg~").write_bytes((photos / "dog" / "2.png").read_bytes())
    (note,) = ImageFolder(path=photos).listing().notes
    assert note == (
        "7 files that look like images are not read: 2 .jxl (first: 6.jxl), 2 .nef (first: cat/2.NEF), "
        "1 without an extension (first: dog/7), 1 .jpg~ (first: dog/8.jpg~), 1 .svg (first: dog/4.svg); "
        "convert them to PNG or JPEG, rename those whose extension is not that of their format"
    )


def test_names_of_unread_images_are_escaped(photos):
    (photos / "cat" / "\x1b[2J.cr2").touch()
    (photos / "cat" / os.fsdecode(b"\xe9.dng")).touch()
    (note,) = ImageFolder(path=photos).listing().notes
    assert note.isprintable()
    assert r"1 .cr2 (first: 'cat/\x1b[2J.cr2'), 1 .dng (first: 'cat/\udce9.dng')" in note


def test_only_a_few_files_are_opened(photos, monkeypatch):
    opened = []
    monkeypatch.setattr(unread, "open_regular", lambda path: opened.append(path) or open_regular(path))
    for i in range(300):
        (photos / "cat" / f"{i:03}").write_bytes(b"\xff\xd8\xff")
        (photos / "cat" / f"{i:03}.txt").touch()
    for i in range(2000):
        (photos / "dog" / f"x.{i:04}").touch()
    (note,) = ImageFolder(path=photos).listing().notes
    assert note.startswith("at least 100 files that look like images are not read: 100 without an extension (first: ca")
    assert len(opened) == 1000


def test_a_class_of_unread_images_raises(photos):
    (photos / "bird").mkdir()
    (photos / "bird" / "1.cr3").touch()
    with pytest.raises(
        DatasetError, match=r"bird' has only images that are not read: 1 \.cr3 \(first: bird/1\.cr3\); conv"
    ):
        ids(photos)


def test_class_names(photos, tmp_path):
    listing = ImageFolder(path=photos, class_names={"cat": "house cat", "dog": "kit fox"}).listing()
    assert listing.labels == ["house cat", "kit fox"]
    assert listing.samples["id"].to_list() == ids(photos)
    assert listing.notes == []
    (tmp_path / "names.csv").write_text("folder,name\ndog,kit fox\ncat,house cat\n")
    assert ImageFolder(path=photos, class_names=tmp_path / "names.csv").listing().labels == listing.labels


def test_class_names_do_not_determine_pixels(photos):
    named = ImageFolder(path=photos, class_names={"cat": "house cat", "dog": "kit fox"})
    assert named.reading() == ImageFolder(path="elsewhere").reading() == {"format": "imagefolder"}


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20)
FILE_NAMES = st.builds(
    lambda name, extension: (name + extension)[-60:],
    NAMES,
    st.sampled_from(["", ".png", ".JPG", ".heic", ".nef", ".txt", ".csv", "."]),
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 250)
CONTENTS = st.sampled_from(["png", "heic", "text", "empty", "pipe", "dead link", "link to device"])


def fill(path, content):
    if content == "pipe":
        os.mkfifo(path)
    elif content == "dead link":
        path.symlink_to("nowhere")
    elif content == "link to device":
        path.symlink_to("/dev/zero")
    else:
        data = {"png": PNG, "heic": b"\0\0\0\x18ftypheic", "text": b"some text", "empty": b""}
        path.write_bytes(data[content])


@pytest.mark.timeout(300)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(NAMES, max_size=4), FILE_NAMES, CONTENTS), max_size=12))
def test_every_file_is_listed_counted_or_ignored(tmp_path, files):
    """Every file under a class folder is listed, counted, hidden, or not an image by its name and its first bytes."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        root = Path(folder)
        for name in ("a", "b"):
            put(root / name / "0.png")
        expected, unread_images = {"a/0.png", "b/0.png"}, 0
        for folders, name, content in files:
            place = root.joinpath("a", *(f"_{part}" for part in folders if len(part.encode()) < 250))
            try:
                place.mkdir(parents=True, exist_ok=True)
                if os.path.lexists(place / name):
                    continue
                fill(place / name, content)
            except OSError:  # a file where a folder should be
                continue
            extension = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if extension in image_extensions():
                expected.add(f"{place.relative_to(root)}/{name}")
            elif extension in KNOWN_EXTENSIONS or content in {"png", "heic"}:
                unread_images += 1
        dataset = ImageFolder(path=root)
        listing = dataset.listing()
        assert set(listing.samples["id"]) == expected
        counted = [int(note.split()[0]) for note in listing.notes]
        assert counted == ([unread_images] if unread_images else [])
        assert all(note.isprintable() for note in listing.notes)
        for record in listing.samples.to_dicts():
            with contextlib.suppress(BadSampleError):
                assert dataset.load(record).image.mode == "RGB"


def test_unicode_names(photos):
    put(photos / "猫 🐈" / "ÿ.png")
    listing = ImageFolder(path=photos).listing()
    assert listing.labels[-1] == "猫 🐈"
    assert listing.samples["id"][-1] == "猫 🐈/ÿ.png"


def test_names_that_are_not_utf8(photos):
    os.mkdir(os.fsencode(photos) + b"/caf\xe9")
    with pytest.raises(DatasetError, match=r"caf\\xe9.*not UTF-8; rename it"):
        ids(photos)


def test_links_are_followed_and_loops_end(photos, tmp_path):
    put(tmp_path / "elsewhere" / "1.png")
    (photos / "horse").symlink_to(tmp_path / "elsewhere")
    (photos / "cat" / "loop").symlink_to(photos / "cat")
    assert "horse/1.png" in ids(photos)
    assert [i for i in ids(photos) if "loop" in i] == []


@pytest.mark.parametrize("target", ["..", "../..", "../dog", "../dog/puppies"])
def test_a_link_to_images_of_other_classes_raises(photos, target):
    put(photos / "dog" / "puppies" / "1.png")
    (photos / "cat" / "link").symlink_to(target)
    with pytest.raises(DatasetError, match=r"cat/link' is a link to .* which has images of other classes"):
        ids(photos)


def test_one_folder_as_two_classes_raises(photos):
    (photos / "puma").symlink_to("cat")
    with pytest.raises(DatasetError, match=r"puma' is a link to .* which has images of other classes"):
        ids(photos)


def test_names_cannot_control_the_terminal(photos):
    (photos / "bad\x1b[31m\n").mkdir()
    with pytest.raises(DatasetError, match=r"class folder '.*/bad\\x1b\[31m\\n' has no images"):
        ids(photos)


def test_a_dead_link_is_a_bad_sample(photos):
    (photos / "cat" / "gone.png").symlink_to(photos / "nowhere.png")
    (photos / "cat" / "me").symlink_to(photos / "cat" / "me")
    (photos / "me").symlink_to(photos / "me")
    dataset = ImageFolder(path=photos)
    record = next(r for r in dataset.listing().samples.to_dicts() if r["id"] == "cat/gone.png")
    with pytest.raises(BadSampleError, match="No such file"):
        dataset.load(record)


def test_relative_paths_and_home_folders(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert ImageFolder(path="photos").listing().samples["path"][0] == f"{photos}/cat/b.png"
    monkeypatch.setenv("HOME", str(photos.parent))
    assert ids("~/photos") == ids(photos)
    monkeypatch.chdir(photos)
    assert ImageFolder(path=".").name == "photos"


def test_missing_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere' does not exist; give the folder"):
        ids(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="is a file"):
        ids(tmp_path / "file")


def test_no_class_folders(tmp_path):
    with pytest.raises(DatasetError, match="no class folders; it needs two or more"):
        ids(tmp_path)


def test_one_class(tmp_path):
    put(tmp_path / "cat" / "1.png")
    with pytest.raises(DatasetError, match="only one class folder, 'cat'"):
        ids(tmp_path)


def test_images_outside_of_class_folders(photos):
    put(photos / "stray.png")
    with pytest.raises(DatasetError, match=r"1 images directly in it \('stray.png', …\); put each into"):
        ids(photos)


def test_a_class_without_images(photos):
    (photos / "bird" / "empty").mkdir(parents=True)
    (photos / "bird" / "list.txt").touch()
    with pytest.raises(DatasetError, match=r"bird' has no images; add some, or remove the folder"):
        ids(photos)


def test_splits_are_not_classes(tmp_path):
    put(tmp_path / "train" / "cat" / "1.png")
    put(tmp_path / "Val" / "cat" / "1.png")
    with pytest.raises(DatasetError, match=r"splits \(Val, train\), not classes"):
        ids(tmp_path)
