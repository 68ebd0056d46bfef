"""A folder of class folders, as people have it on disk."""

import os

import pytest
from PIL import Image

from emms.datasets.imagefolder import ImageFolder
from emms.errors import BadSampleError, DatasetError


def put(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)


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


def test_what_is_no_image_is_left_alone(photos):
    before = ids(photos)
    for name in ("cat/notes.txt", "cat/Thumbs.db", "cat/.hidden.png", "cat/noextension", "readme.md", ".DS_Store"):
        (photos / name).touch()
    put(photos / ".cache" / "x.png")
    put(photos / "cat" / ".thumbnails" / "x.png")
    os.mkfifo(photos / "cat" / "pipe.png")
    assert ids(photos) == before


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


def test_a_dead_link_is_a_bad_sample(photos):
    (photos / "cat" / "gone.png").symlink_to(photos / "nowhere.png")
    (photos / "cat" / "me").symlink_to(photos / "cat" / "me")
    (photos / "me").symlink_to(photos / "me")
    dataset = ImageFolder(path=photos)
    record = next(r for r in dataset.listing().samples.to_dicts() if r["id"] == "cat/gone.png")
    with pytest.raises(BadSampleError, match="No such file"):
        dataset.load(record)


def test_a_relative_path_and_a_home(photos, monkeypatch):
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
    with pytest.raises(DatasetError, match="no class folders; it takes"):
        ids(tmp_path)


def test_one_class(tmp_path):
    put(tmp_path / "cat" / "1.png")
    with pytest.raises(DatasetError, match="only one class folder, 'cat'"):
        ids(tmp_path)


def test_images_in_no_class_folder(photos):
    put(photos / "stray.png")
    with pytest.raises(DatasetError, match=r"1 images directly in it \('stray.png', …\); put each into"):
        ids(photos)


def test_a_class_with_no_image(photos):
    (photos / "bird" / "empty").mkdir(parents=True)
    (photos / "bird" / "list.txt").touch()
    with pytest.raises(DatasetError, match=r"bird' has no image; add some, or remove the folder"):
        ids(photos)


def test_splits_are_not_classes(tmp_path):
    put(tmp_path / "train" / "cat" / "1.png")
    put(tmp_path / "Val" / "cat" / "1.png")
    with pytest.raises(DatasetError, match=r"splits \(Val, train\), not classes"):
        ids(tmp_path)
