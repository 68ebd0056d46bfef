"""The model hub out of reach is found out once, in seconds, and what its local cache holds is still used."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants, file_download

from emms import hub
from emms.errors import UnreachableError


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    """The tests run in offline mode; here the hub is asked for, at an address where nobody listens."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_refusal", None)


def test_out_of_reach_it_is_asked_once(monkeypatch):
    asked = []
    ask = hub._ask
    monkeypatch.setattr(hub, "_ask", lambda endpoint: asked.append(endpoint) or ask(endpoint))
    for _ in range(3):
        assert "http://127.0.0.1:9 cannot be reached" in str(hub.unreachable())
    assert asked == ["http://127.0.0.1:9"]
    monkeypatch.setattr(hub, "REMEMBERED_S", -1.0)
    assert hub.unreachable()
    assert len(asked) == 2


def test_whatever_it_answers_it_is_there(monkeypatch):
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


def test_offline_mode_asks_nobody(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_ask", lambda endpoint: pytest.fail(f"asked {endpoint}"))
    assert "HF_HUB_OFFLINE" in str(hub.unreachable())


def test_a_file_that_nobody_has_fails_at_once(caplog):
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
