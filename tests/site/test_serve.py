"""The page is served to this machine alone, under its own name."""

import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from rpo_bench.site.serve import address, page_server


@pytest.fixture
def served(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("<p>page</p>")
    (tmp_path / "secret").write_text("x")
    server = page_server(tmp_path / "out", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address(server)
    server.shutdown()
    thread.join()
    server.server_close()


def status(url, **headers):
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_it_listens_on_loopback_and_gives_the_page(served):
    assert served.startswith("http://127.0.0.1:")
    with urlopen(served, timeout=10) as answer:
        assert answer.read() == b"<p>page</p>"
        assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_above_the_folder_is_served(served):
    assert status(served + "../secret") == status(served + "%2e%2e/secret") == 404


def test_another_sites_name_for_this_address_is_refused(served):
    assert status(served, Host="evil.example:80") == 403
    assert (
        status(served, Host=served.removeprefix("http://127.0.0.1").join(["localhost", ""]).rstrip("/"))
        == 200
    )
