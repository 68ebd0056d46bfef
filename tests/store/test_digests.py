"""Digests of files are correct, and computed again only if a file has changed."""

import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from emms.store import Store
from emms.store.digests import DigestsKey, FileDigests


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def put(folder, count=20):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.bin" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i % 256]) * (i % 97))
    return paths


@pytest.fixture(scope="module")
def old_files(tmp_path_factory):
    """Files that were written a while ago, since digests of files that were just written are not cached."""
    paths = put(tmp_path_factory.mktemp("old"))
    time.sleep(2.2)
    return paths


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def read_and_digest(store, paths):
    digests = FileDigests(store)
    result = digests([str(path) for path in paths])
    assert result == [sha256(path) for path in paths]
    return digests.files_read


def test_digests_are_those_of_the_contents_in_the_order_of_the_paths(store, tmp_path):
    paths = put(tmp_path / "new")
    read_and_digest(store, [*paths[::-1], paths[3]])
    assert FileDigests(store)([]) == []


def test_files_are_read_once(store, old_files):
    assert read_and_digest(store, old_files) == 20
    assert read_and_digest(store, old_files) == 0
    assert read_and_digest(Store(store.url), old_files[:5]) == 0


def test_a_store_in_memory(old_files):
    store = Store("memory://test-digests")
    assert read_and_digest(store, old_files) == 20
    assert read_and_digest(store, old_files) == 0


def test_files_that_were_just_written_are_read_again(store, tmp_path):
    paths = put(tmp_path / "new")
    assert read_and_digest(store, paths) == 20
    assert read_and_digest(store, paths) == 20


def test_a_change_that_keeps_size_and_time_is_noticed(store, tmp_path):
    paths = put(tmp_path / "new", 3)
    time.sleep(2.2)
    assert read_and_digest(store, paths) == 3
    before = paths[2].stat()
    paths[2].write_bytes(b"xy")
    os.utime(paths[2], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_and_digest(store, paths) == 1
    shutil.copy2(paths[2], tmp_path / "copy")
    os.replace(tmp_path / "copy", paths[2])
    assert read_and_digest(store, paths) == 1


def test_sibling_folders_and_parts_of_a_folder(store, old_files):
    assert read_and_digest(store, old_files[:5]) == 5
    assert read_and_digest(store, old_files) == 15
    assert read_and_digest(store, old_files[:5]) == 0


def test_removed_files_are_forgotten(store, old_files, tmp_path):
    link = old_files[0].with_name("link.bin")
    link.symlink_to(old_files[1])
    assert read_and_digest(store, [link, *old_files[:3]]) == 4
    link.unlink()
    assert read_and_digest(store, old_files) == 17
    found = store.find(DigestsKey(folder=str(old_files[0].parent)))
    assert sorted(found.table("digests.parquet")["path"].to_pylist()) == sorted(map(str, old_files))


def test_a_missing_file(store, old_files):
    with pytest.raises(FileNotFoundError):
        FileDigests(store)([str(old_files[0]), str(old_files[0].parent / "none")])


def test_a_damaged_table_is_replaced(store, old_files):
    read_and_digest(store, old_files)
    key = DigestsKey(folder=str(old_files[0].parent))
    table = store.find(key).files["digests.parquet"].file
    with open(f"{store.path(key)}/{table}", "r+b") as file:
        file.seek(20)
        file.write(b"damage")
    assert read_and_digest(Store(store.url), old_files) == 20
    assert read_and_digest(Store(store.url), old_files) == 0


def test_many_threads_at_once_read_each_file_once(store, old_files):
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: read_and_digest(store, old_files), range(16)))
    assert sum(read) == 20


def test_more_files_than_one_chunk(store, tmp_path):
    read_and_digest(store, put(tmp_path / "many", 250) + put(tmp_path / "more", 250))
