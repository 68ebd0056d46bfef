"""An artifact is there, complete and whole, or it is absent."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from emms.errors import StoreError
from emms.store import Store, address

KEY = {"stage": "test", "version": 1, "of": "x"}
TABLE = pa.table({"a": [1, 2, 3]})


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}")


def create(store: Store) -> None:
    with store.create("things", KEY) as draft:
        draft.table("table.parquet", TABLE, row_group_rows=2)
        draft.meta["note"] = "hello"


def test_what_was_created_is_found_again(store):
    assert store.find("things", KEY) is None
    create(store)
    found = store.find("things", KEY)
    assert found.meta == {"note": "hello"}
    assert found.table("table.parquet").equals(TABLE)
    assert [len(batch) for batch in found.batches("table.parquet")] == [2, 1]
    assert found.files["table.parquet"]["rows"] == 3


def test_another_key_or_kind_is_another_artifact(store):
    create(store)
    assert store.find("things", {**KEY, "version": 2}) is None
    assert store.find("others", KEY) is None


def test_the_address_does_not_depend_on_the_order_of_keys():
    assert address({"a": 1, "b": [2, 3]}) == address({"b": [2, 3], "a": 1}) != address({"a": 1, "b": [3, 2]})


def test_nothing_is_there_when_the_maker_fails(store):
    def make():
        with store.create("things", KEY) as draft:
            draft.table("table.parquet", TABLE)
            raise KeyError("killed half way")

    with pytest.raises(KeyError):
        make()
    assert store.find("things", KEY) is None


@pytest.mark.parametrize(
    "damage", ["flip a byte", "truncate", "remove", "empty manifest", "change manifest", "remove manifest"]
)
def test_a_damaged_artifact_is_absent_and_can_be_made_again(store, damage):
    create(store)
    folder = store.path("things", KEY)
    table, manifest = f"{folder}/{store.find('things', KEY).files['table.parquet']['file']}", f"{folder}/manifest.json"
    content = store.fs.cat_file(table)
    match damage:
        case "flip a byte":
            store.fs.pipe_file(table, content[:40] + bytes([content[40] ^ 1]) + content[41:])
        case "truncate":
            store.fs.pipe_file(table, content[:-1])
        case "remove":
            store.fs.rm_file(table)
        case "empty manifest":
            store.fs.pipe_file(manifest, b"")
        case "change manifest":
            store.fs.pipe_file(manifest, store.fs.cat_file(manifest).replace(b"hello", b"hallo"))
        case "remove manifest":
            store.fs.rm_file(manifest)
    assert Store(store.url).find("things", KEY) is None
    create(store)
    assert Store(store.url).find("things", KEY).table("table.parquet").equals(TABLE)


def test_a_flipped_byte_is_noticed_by_the_process_that_found_the_file_whole(tmp_path):
    store = Store(str(tmp_path))
    create(store)
    path = Path(store.path("things", KEY)) / store.find("things", KEY).files["table.parquet"]["file"]
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    assert store.find("things", KEY) is None


def test_an_artifact_in_anothers_place_is_not_taken_for_it(tmp_path):
    store = Store(str(tmp_path))
    create(store)
    manifest = Path(store.path("things", KEY)) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"key": {"something": "else"}}))
    assert store.find("things", KEY) is None


def test_making_it_anew_leaves_no_older_files(tmp_path):
    store = Store(str(tmp_path))
    create(store)
    create(store)
    files = [path.name for path in Path(store.path("things", KEY)).iterdir()]
    assert sorted(files) == sorted(["manifest.json", store.find("things", KEY).files["table.parquet"]["file"]])


WRITER = """
import sys, pyarrow as pa
from emms.store import Store
store = Store(sys.argv[1])
for i in range(100):
    with store.create("things", {"stage": "test"}) as draft:
        draft.table("table.parquet", pa.table({"a": list(range(1000 + i))}))
"""


def test_two_processes_that_make_the_same_do_not_disturb_each_other_nor_a_reader(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(2)
    ]
    found = 0
    while any(writer.poll() is None for writer in writers):
        artifact = Store(str(tmp_path)).find("things", {"stage": "test"})
        if artifact is not None:
            found += 1
            # The writers throw away what they replace, so it may be gone; what can be read is whole.
            with contextlib.suppress(FileNotFoundError):
                assert len(artifact.table("table.parquet")) == artifact.files["table.parquet"]["rows"]
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert found


def test_a_store_that_cannot_be_written_says_so_and_how_to_mend_it(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(str(tmp_path / "file" / "store"))
    with pytest.raises(StoreError, match=r"cannot be written.*--store"):
        store.check_writable()
    assert store.find("things", KEY) is None


def test_a_url_of_an_unknown_protocol_is_an_error():
    with pytest.raises(StoreError, match="'s4://bucket' cannot be opened"):
        Store("s4://bucket")


def test_a_trial_of_writing_leaves_nothing_behind(tmp_path):
    store = Store(str(tmp_path / "deep" / "store"))
    store.check_writable()
    assert not store.exists()
    assert not list(tmp_path.iterdir())
    create(store)
    store.check_writable()
    assert store.exists()
    assert store.find("things", KEY) is not None
