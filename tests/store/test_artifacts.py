"""Artifacts are either complete or absent."""

from __future__ import annotations

import contextlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.errors import DamagedError, StoreError
from emms.store import Key, Meta, Store, digest
from emms.store.manifest import Manifest

TABLE = pa.table({"a": [1, 2, 3]})


class ThingMeta(Meta):
    note: str


class Thing(Key):
    kind: ClassVar[str] = "things"
    version: ClassVar[int] = 1
    meta: ClassVar[type[Meta]] = ThingMeta

    of: str = "x"

    def file_names(self) -> tuple[str, ...]:
        return ("table.parquet",)


KEY = Thing()


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}")


def create(store: Store) -> None:
    with store.create(KEY) as draft:
        draft.table("table.parquet", TABLE, row_group_rows=2)
        draft.meta = ThingMeta(note="hello")


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_created_artifact_is_found(store):
    assert store.find(KEY) is None
    create(store)
    found = store.find(KEY)
    assert found.meta == ThingMeta(note="hello")
    assert found.table("table.parquet").equals(TABLE)
    assert found.files["table.parquet"].rows == 3


def test_another_key_kind_or_version_is_another_artifact(store):
    class Renewed(Thing):
        version: ClassVar[int] = 2

    class Other(Thing):
        kind: ClassVar[str] = "others"

    create(store)
    assert store.find(Thing(of="y")) is None
    assert store.find(Renewed()) is None
    assert store.find(Other()) is None


def test_keys_are_frozen_and_have_no_other_fields():
    with pytest.raises(ValueError, match="frozen"):
        KEY.of = "y"
    with pytest.raises(ValueError, match="Extra inputs"):
        Thing(off="y")


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.lists(st.integers()))))
def test_an_address_does_not_depend_on_the_order_of_entries(content):
    assert digest(content) == digest(dict(reversed(content.items())))


def test_a_store_can_be_pickled(store):
    create(store)
    again = pickle.loads(pickle.dumps(store))
    assert again.find(KEY).meta.note == "hello"


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_failed_draft_leaves_no_artifact_and_no_files(tmp_path, error):
    store = Store(str(tmp_path))

    def make():
        with store.create(KEY) as draft:
            draft.table("table.parquet", TABLE)
            raise error

    with pytest.raises(error):
        make()
    assert store.find(KEY) is None
    assert files_below(tmp_path) == []
    create(store)
    before = files_below(tmp_path)
    with pytest.raises(error):
        make()
    assert files_below(tmp_path) == before
    assert store.find(KEY).table("table.parquet").equals(TABLE)


def test_an_artifact_with_wrong_files_or_metadata_is_not_created(store):
    with pytest.raises(ValueError, match="ThingMeta"), store.create(KEY) as draft:
        draft.table("table.parquet", TABLE)
    with pytest.raises(ValueError, match=r"table\.parquet"), store.create(KEY) as draft:
        draft.meta = ThingMeta(note="hello")
    assert store.find(KEY) is None


@pytest.mark.parametrize(
    "damage", ["flip a byte", "truncate", "remove", "empty manifest", "change manifest", "remove manifest"]
)
def test_a_damaged_artifact_is_absent_and_can_be_created_again(store, damage):
    create(store)
    folder = store.path(KEY)
    table, manifest = f"{folder}/{store.find(KEY).files['table.parquet'].file}", f"{folder}/manifest.json"
    content = store.fs.cat_file(table)
    match damage:
        case "flip a byte":
            store.fs.pipe_file(table, content[:40] + bytes([content[40] ^ 1]) + content[41:])
            # A file is verified when it is read, after which its artifact is absent.
            with pytest.raises(DamagedError, match=r"'things'.*is damaged; run again"):
                store.find(KEY).table("table.parquet")
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
    assert store.find(KEY) is None
    create(store)
    assert store.find(KEY).table("table.parquet").equals(TABLE)


def test_a_file_removed_between_finding_and_reading_counts_as_damage(store):
    create(store)
    found = store.find(KEY)
    store.fs.rm_file(f"{store.path(KEY)}/{found.files['table.parquet'].file}")
    with pytest.raises(DamagedError):
        found.table("table.parquet")


def signed(manifest: Path, change) -> None:
    """Change a manifest and sign it again."""
    content = json.loads(manifest.read_text())
    del content["sha256"]
    change(content)
    manifest.write_text(json.dumps({**content, "sha256": digest(content)}))


@pytest.mark.parametrize("name", ["../../../../VICTIM.parquet", "VICTIM.parquet/../x.parquet", "/VICTIM", ".x.parquet"])
@pytest.mark.parametrize("resign", [True, False])
def test_manifests_cannot_refer_to_files_outside_their_folder(tmp_path, name, resign):
    store = Store(str(tmp_path / "store"))
    create(store)
    (tmp_path / "VICTIM.parquet").write_text("precious")
    manifest = Path(store.path(KEY)) / "manifest.json"
    name = f"{tmp_path}/VICTIM.parquet" if name == "/VICTIM" else name

    def point_elsewhere(content):
        content["files"]["table.parquet"]["file"] = name

    if resign:
        signed(manifest, point_elsewhere)
    else:
        content = json.loads(manifest.read_text())
        point_elsewhere(content)
        manifest.write_text(json.dumps(content))
    assert store.find(KEY) is None
    create(store)
    assert (tmp_path / "VICTIM.parquet").read_text() == "precious"
    assert store.find(KEY).table("table.parquet").equals(TABLE)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(meta={}),
        lambda content: content.update(meta=None),
        lambda content: content["meta"].update(note=3),
        lambda content: content["meta"].update(more="x"),
        lambda content: content.update(files={}),
        lambda content: content.pop("files"),
        lambda content: content["files"].update(other=content["files"]["table.parquet"]),
        lambda content: content["files"]["table.parquet"].pop("sha256"),
        lambda content: content["files"]["table.parquet"].update(bytes="many"),
        lambda content: content.update(key={"something": "else"}),
        lambda content: content.update(kind="others"),
        lambda content: content.update(extra=1),
    ],
)
def test_a_signed_manifest_with_other_content_is_absent(tmp_path, change):
    store = Store(str(tmp_path))
    create(store)
    signed(Path(store.path(KEY)) / "manifest.json", change)
    assert store.find(KEY) is None
    create(store)
    assert store.find(KEY) is not None


@given(st.binary(max_size=300))
def test_any_bytes_parse_to_a_manifest_or_none(content):
    assert Manifest.parse(content) is None
    assert Manifest.parse(b"[" * 50_000) is None


def test_a_signed_file_that_is_not_parquet_counts_as_damage(tmp_path):
    import hashlib

    store = Store(str(tmp_path))
    create(store)
    folder = Path(store.path(KEY))
    (folder / "x.parquet").write_bytes(b"no parquet")

    def other_file(content):
        content["files"]["table.parquet"] = {
            "file": "x.parquet",
            "rows": 3,
            "bytes": 10,
            "sha256": hashlib.sha256(b"no parquet").hexdigest(),
        }

    signed(folder / "manifest.json", other_file)
    with pytest.raises(DamagedError):
        store.find(KEY).table("table.parquet")
    assert store.find(KEY) is None


def test_replacing_an_artifact_removes_older_files(tmp_path):
    store = Store(str(tmp_path))
    create(store)
    create(store)
    assert files_below(tmp_path) == sorted(["manifest.json", store.find(KEY).files["table.parquet"].file])


def test_discarding_an_artifact_keeps_its_replacement(tmp_path):
    store = Store(str(tmp_path))
    create(store)
    first = store.find(KEY)
    create(store)
    store.discard(first)
    assert store.find(KEY) is not None
    store.discard(store.find(KEY))
    assert store.find(KEY) is None
    assert files_below(tmp_path) == []


WRITER = """
import sys
from typing import ClassVar

import pyarrow as pa

from emms.store import Key, Store

class Thing(Key):
    kind: ClassVar[str] = "things"
    version: ClassVar[int] = 1
    def file_names(self):
        return ("table.parquet",)

store = Store(sys.argv[1])
for i in range(100):
    with store.create(Thing()) as draft:
        draft.table("table.parquet", pa.table({"a": list(range(1000 + i))}))
"""


class Bare(Key):
    kind: ClassVar[str] = "things"
    version: ClassVar[int] = 1

    def file_names(self) -> tuple[str, ...]:
        return ("table.parquet",)


def test_concurrent_writers_of_one_artifact_do_not_disturb_a_reader(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(2)
    ]
    found = 0
    while any(writer.poll() is None for writer in writers):
        artifact = Store(str(tmp_path)).find(Bare())
        if artifact is not None:
            found += 1
            # Writers remove the files that they replace; files that can be read are complete.
            with contextlib.suppress(DamagedError):
                assert len(artifact.table("table.parquet")) == artifact.files["table.parquet"].rows
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert found
    assert Store(str(tmp_path)).find(Bare()) is not None


def test_a_store_that_cannot_be_written_raises(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(str(tmp_path / "file" / "store"))
    with pytest.raises(StoreError, match=r"cannot be written.*--store"):
        store.check_writable()
    assert store.find(KEY) is None


def test_a_store_that_cannot_be_read_raises(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    create(store)

    def refuse(*_):
        raise PermissionError("forbidden")

    monkeypatch.setattr(type(store.fs), "cat_file", refuse)
    with pytest.raises(StoreError, match="cannot be read: forbidden"):
        store.find(KEY)


def test_a_url_of_an_unknown_protocol_is_an_error():
    with pytest.raises(StoreError, match="'s4://bucket' cannot be opened"):
        Store("s4://bucket")


def test_testing_that_a_store_can_be_written_leaves_nothing_behind(tmp_path):
    store = Store(str(tmp_path / "deep" / "store"))
    store.check_writable()
    assert not store.exists()
    assert not list(tmp_path.iterdir())
    create(store)
    store.check_writable()
    assert store.exists()
    assert store.find(KEY) is not None
