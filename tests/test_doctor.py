"""What the doctor says of the hub is what it found out."""

import http.server
import threading
from importlib.metadata import requires

import pytest
from huggingface_hub import constants

from rpo_bench import doctor
from rpo_bench.doctor import Status, check_hub, check_packages


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in doctor.HF_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.code = 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("code", [200, 403, 500])
def test_a_hub_that_answers_is_within_reach(hub, code):
    hub.code = code
    (check,) = check_hub()
    assert check.status is Status.OK
    assert f"answers ({code})" in check.detail


def test_one_that_does_not_is_a_note(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    (check,) = check_hub()
    assert check.status is Status.NOTE
    assert "can't be reached" in check.detail


def test_where_it_is_switched_off_nobody_is_asked(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (check,) = check_hub()
    assert "HF_HUB_OFFLINE=1" in check.detail
    assert "answers" not in check.detail


def test_a_package_is_listed_once():
    """Also where an extra is made of others: their packages are then required twice."""
    names = [check.name for check in check_packages()]
    assert len(names) == len(set(names))
    assert any("extra == 'tools'" in text or 'extra == "tools"' in text for text in requires("rpo-bench"))
