"""Class folders of text files."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.textfolder import TextFolder
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, counted


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return TextFolder(path=root)


def test_texts_in_class_folders(tmp_path):
    files = {
        "neg/0_2.txt": "Bad.\r\n",
        "pos/deep/1.TXT": b"\xef\xbb\xbfna\xc3\xafve",
        "pos/0.txt": "Good",
        "pos/.x.txt": "",
    }
    dataset = write(tmp_path, files)
    listing = dataset.listing()
    assert listing.samples["id"].to_list() == ["neg/0_2.txt", "pos/0.txt", "pos/deep/1.TXT"]
    assert (listing.labels, listing.samples["label"].to_list(), listing.notes) == (["neg", "pos"], [0, 1, 1], [])
    assert [dataset.load(r).text for r in listing.samples.to_dicts()] == ["Bad. \n", "Good", "naïve"]
    assert set(listing.samples["path"]) == {""}


def test_class_names_blank_files_and_other_files(tmp_path):
    write(tmp_path, {"a/1.txt": "x", "b/1.txt": "y", "b/2.txt": " \n", "b/notes.doc": "z", "urls.html": "u"})
    listing = TextFolder(path=tmp_path, class_names={"a": "zebra", "b": "ant"}).listing()
    assert [listing.labels[i] for i in listing.samples["label"]] == ["zebra", "ant"]
    assert listing.notes[0] == "2 files without the extension .txt are not read ('urls.html', …)"
    assert listing.notes[1].startswith("1 of 3 samples")
    assert "b/2.txt" in listing.notes[1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/1.txt": "x"}, "only one class folder, 'a'"),
        ({"a/1.txt": "x", "b/x.doc": "x"}, r"class folder '.*/b' has no .txt files"),
        ({"a/1.txt": "x", "b/1.txt": b"\xff"}, r"b/1.txt' is not text in UTF-8 \(invalid start byte at byte 0\)"),
        ({"train/a/1.txt": "x", "test/a/1.txt": "x"}, "contains splits"),
        ({"a/1.txt": "x", "b/1.txt": "y", "1.txt": "z"}, r"has 1 text files directly in it \('1.txt'"),
    ],
)
def test_other_layouts(tmp_path, files, message):
    with pytest.raises(DatasetError, match=message):
        write(tmp_path, files).listing()


def test_links_and_pipes(tmp_path):
    dataset = write(tmp_path, {"a/1.txt": "x", "b/1.txt": "y"})
    (tmp_path / "b" / "link").symlink_to("../a")
    with pytest.raises(DatasetError, match="which has text files of other classes"):
        dataset.listing()
    (tmp_path / "b" / "link").unlink()
    os.mkfifo(tmp_path / "b" / "pipe.txt")
    with pytest.raises(DatasetError, match=r"pipe.txt' cannot be read: a named pipe"):
        dataset.listing()


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=8) | st.text(max_size=5).map(str.encode)), min_size=1)
)
def test_any_content_gives_samples_or_errors(tmp_path_factory, texts):
    root = tmp_path_factory.mktemp("fuzz")
    dataset = write(root, {f"{folder}/{i}.txt": content for i, (folder, content) in enumerate(texts)})
    listing = check_listing(dataset)
    assert listing is None or counted(listing) == len(texts)
