"""Paths in cells must lead to files below one folder."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emms.datasets.parquet_paths import NamedFiles
from emms.errors import DatasetError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "images").mkdir(parents=True)
    (tmp_path / "root" / "images" / "1.png").touch()
    (tmp_path / "secret.png").touch()
    (tmp_path / "rootless").mkdir()
    return tmp_path / "root"


def resolve(root, *cells, tables=()):
    return NamedFiles("train.parquet", str(root), frozenset(tables)).resolve(cells)


def test_paths_below_the_root(root):
    there = f"{root}/images/1.png"
    cells = ["images/1.png", "./images/../images/1.png", there, "../root/images//1.png"]
    assert resolve(root, *cells) == [there] * 4


def test_empty_cells(root):
    assert resolve(root, None, "") == [None, None]


def test_missing_files_and_folders_are_accepted(root):
    assert resolve(root, "images/2.png", "nowhere/1.png") == [f"{root}/images/2.png", f"{root}/nowhere/1.png"]
    assert resolve(root, "images", "images/", ".", "") == [f"{root}/images", f"{root}/images", str(root), None]


def test_links(root, tmp_path):
    (tmp_path / "link to root").symlink_to(root)
    (root / "inside").symlink_to("images")
    (root / "inside.png").symlink_to("images/1.png")
    for cell in ("inside/1.png", "inside.png"):
        assert resolve(tmp_path / "link to root", cell) == [f"{root}/images/1.png"]
    (root / "outside").symlink_to("..")
    (root / "outside.png").symlink_to("../secret.png")
    (root / "again.png").symlink_to("outside.png")
    for cell in ("outside/secret.png", "outside.png", "again.png"):
        with pytest.raises(
            DatasetError, match=rf"row 0 .* names '{cell}', which leads to '{tmp_path}/secret.png', outside"
        ):
            resolve(root, cell)


@pytest.mark.parametrize(
    "cell", ["../secret.png", "images/../../secret.png", "/etc/passwd", "..", "/", "../rootless/x"]
)
def test_paths_outside_the_root(root, cell):
    with pytest.raises(
        DatasetError, match=r"row 1 of 'train.parquet' names '.*', which leads to '.*', outside of '.*root'; .*`root:`"
    ):
        resolve(root, "images/1.png", cell)


@pytest.mark.parametrize(
    "cell", ["file:///root/images/1.png", "https://example.org/1.png", "s3://bucket/1.png", "FILE:/1.png"]
)
def test_urls(root, cell):
    with pytest.raises(
        DatasetError, match=f"row 0 of 'train.parquet' names '{cell}', which is a URL; download the images"
    ):
        resolve(root, cell)


@pytest.mark.parametrize("cell", [r"images\1.png", r"C:\photos\1.png", "c:/photos/1.png", r"\\server\1.png"])
def test_windows_paths(root, cell):
    with pytest.raises(DatasetError, match=r"which is a Windows path; write it relative to `root:`, with '/'"):
        resolve(root, cell)


def test_a_backslash_in_the_name_of_a_file(root):
    (root / r"a\b.png").touch()
    assert resolve(root, r"a\b.png") == [rf"{root}/a\b.png"]


def test_parquet_files_are_not_images(root):
    (root / "link.png").symlink_to("train")
    for cell in ("train", "link.png", "other.Parquet"):
        with pytest.raises(DatasetError, match=f"names '{cell}', which is a Parquet file, not an image; fix the path"):
            resolve(root, cell, tables=[f"{root}/train"])


def test_places_and_settings_of_annotations(root):
    files = NamedFiles("captions.txt", str(root), frozenset(), "images")
    with pytest.raises(DatasetError, match=r"line 7 of 'captions.txt' names '\.\./b', .* set `images:` to a folder"):
        files.resolve(["a", "../b"], ["line 2", "line 7"])


def test_characters_that_are_not_printable(root):
    with pytest.raises(DatasetError, match=r"names 'a\\x00b', which contains a null character"):
        resolve(root, "a\0b")
    with pytest.raises(DatasetError, match=r"names '\.\./\\x1b\[2J', which leads"):
        resolve(root, "../\x1b[2J")


PARTS = st.one_of(st.sampled_from(["..", ".", "", "images", "1.png", "out", "in", "C:", "\\"]), st.text(max_size=5))


@given(st.lists(PARTS, max_size=8).map("/".join))
@example("missing/../out")  # does not exist, but its real path would be followed as the link out
def test_resolved_paths_are_real_paths_below_the_root(tmp_path_factory, cell):
    root = tmp_path_factory.getbasetemp() / "property"
    if not root.exists():
        (root / "images").mkdir(parents=True)
        (root / "out").symlink_to("..")
        (root / "in").symlink_to("images/../images")
    try:
        (real,) = resolve(root, cell)
    except DatasetError:
        return
    if real is None:
        assert cell == ""
    else:
        assert real == os.path.realpath(root / cell)
        assert os.path.commonpath([real, os.path.realpath(root)]) == os.path.realpath(root)
