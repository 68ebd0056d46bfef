"""New empty folders are removed after a test, and existing ones are kept."""

from __future__ import annotations

import pytest

from emms.store.folders import removed_after


def test_new_folders_are_removed(tmp_path):
    with removed_after(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").mkdir(parents=True)
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), removed_after(tmp_path / "file" / "a"):
        (tmp_path / "file" / "a").mkdir()
    assert (tmp_path / "file").exists()
    assert not (tmp_path / "a").exists()


def test_existing_and_filled_folders_are_kept(tmp_path):
    (tmp_path / "a").mkdir()
    with removed_after(tmp_path / "a"):
        pass
    with removed_after(tmp_path / "b" / "c"):
        (tmp_path / "b" / "c").mkdir(parents=True)
        (tmp_path / "b" / "by-another-process").touch()
    assert (tmp_path / "a").is_dir()
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["by-another-process"]
