"""An unreachable hub is detected once, within seconds, and files in local caches are still used."""

from __future__ import annotations

import hashlib
import threading
import time
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.error import HTTPError

import pytest
import torch
from huggingface_hub import constants, file_download

from emms import hub
from emms.errors import UnreachableError


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    """Switch off the tests' offline mode, with the hub at an address without a server."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_failure", None)


def test_an_unreachable_hub_is_checked_once(monkeypatch):
    endpoints = []
    connect = hub._connect
    monkeypatch.setattr(hub, "_connect", lambda endpoint: endpoints.append(endpoint) or connect(endpoint))
    for _ in range(3):
        assert "http://127.0.0.1:9 cannot be reached" in str(hub.unreachable())
    assert endpoints == ["http://127.0.0.1:9"]
    monkeypatch.setattr(hub, "REMEMBERED_S", -1.0)
    assert hub.unreachable()
    assert len(endpoints) == 2


def test_any_response_means_that_the_hub_is_reachable(monkeypatch):
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(503)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        assert hub.unreachable() is None
    finally:
        server.shutdown()
        server.server_close()


def test_offline_mode_makes_no_request(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_connect", lambda endpoint: pytest.fail(f"connected to {endpoint}"))
    assert "HF_HUB_OFFLINE" in str(hub.unreachable())


def test_a_missing_file_fails_immediately(caplog):
    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(UnreachableError, match=r"the model hub at http://127\.0\.0\.1:9 cannot be reached"):
            hub.fetch("timm/resnet50.a1_in1k", ["model.safetensors", "pytorch_model.bin"])
    assert time.monotonic() - started < 10
    assert not caplog.records


def test_a_file_in_the_local_cache_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--net"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "pytorch_model.bin").write_bytes(b"weights")
    found = hub.fetch("somebody/net", ["model.safetensors", "pytorch_model.bin"])
    assert found.read_bytes() == b"weights"


def test_local_only_uses_cached_files_without_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_connect", lambda endpoint: pytest.fail(f"connected to {endpoint}"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with hub.local_only():
        assert "downloads are switched off" in str(hub.unreachable())
        with pytest.raises(UnreachableError, match="downloads are switched off"):
            hub.fetch("timm/resnet50.a1_in1k", ["model.safetensors"])
        with pytest.raises(UnreachableError, match="downloads are switched off"):
            hub.fetch_url("http://127.0.0.1:9/net-01234567.pth")
        (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
        (tmp_path / "torch" / "hub" / "checkpoints" / "net-01234567.pth").write_bytes(b"weights")
        assert hub.fetch_url("http://127.0.0.1:9/net-01234567.pth").read_bytes() == b"weights"
    monkeypatch.setattr(hub, "_connect", lambda endpoint: None)
    assert hub.unreachable() is None


def test_local_only_applies_to_one_thread_and_to_copies_of_its_context():
    seen: list[str | None] = []
    with hub.local_only():
        for run in (lambda task: task(), copy_context().run):
            thread = threading.Thread(target=run, args=(lambda: seen.append(hub.unreachable()),))
            thread.start()
            thread.join()
    assert ["switched off" in str(reason) for reason in seen] == [False, True]


@pytest.fixture
def files(tmp_path):
    """A server with one file; requests for other files fail."""

    class Serves(BaseHTTPRequestHandler):
        def do_GET(self):
            content = b"weights"
            self.send_response(200 if self.path.startswith("/net") else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Serves)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_url_is_downloaded_once_into_the_cache_of_torch_and_its_digest_is_checked(files, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    digest = hashlib.sha256(b"weights").hexdigest()[:8]
    path = hub.fetch_url(f"{files}/net-{digest}.pth")
    assert (path.read_bytes(), path.parent) == (b"weights", Path(torch.hub.get_dir()) / "checkpoints")
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("downloaded again"))
    assert hub.fetch_url(f"{files}/net-{digest}.pth") == path


def test_a_url_with_a_wrong_or_missing_file(files, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.fetch_url(f"{files}/net-01234567.pth")
    with pytest.raises(HTTPError):
        hub.fetch_url(f"{files}/other.pth")
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:9/net.pth cannot be reached"):
        hub.fetch_url("http://127.0.0.1:9/net.pth")
