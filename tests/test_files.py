"""Only regular files are opened, without blocking."""

import contextlib
import os
import socket

import pytest

from emms.files import NotRegularFileError, check_regular, open_regular


def test_a_regular_file_and_a_link_to_one(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        with open_regular(str(tmp_path / name)) as file:
            assert file.read() == b"content"


@pytest.fixture
def special(tmp_path, monkeypatch):
    """Return paths to a folder, a named pipe, a socket and a device, and links to them."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket")
        for name in ("pipe", "folder", "socket"):
            (tmp_path / f"link to {name}").symlink_to(name)
        yield tmp_path


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["pipe", "folder", "socket", "device", "link to pipe", "link to socket"])
def test_other_kinds_of_files_raise_without_being_opened(special, name, monkeypatch):
    opened = []
    monkeypatch.setattr(os, "open", lambda *args: opened.append(args))
    for check in (check_regular, open_regular):
        with pytest.raises(NotRegularFileError) as caught:
            check(str(special / name))
        kind = {"pipe": "a named pipe", "folder": "a folder", "socket": "a socket", "device": "a device"}
        assert caught.value.strerror == f"{kind[name.split()[-1]]}, not a regular file"
    assert opened == []


@pytest.mark.timeout(20)
def test_a_pipe_that_replaces_a_file_does_not_block(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.touch()
    before = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda _: before)
    with pytest.raises(NotRegularFileError, match="a named pipe"):
        open_regular(str(path))


def test_missing(tmp_path):
    for check in (check_regular, open_regular):
        with pytest.raises(FileNotFoundError):
            check(str(tmp_path / "nowhere"))
