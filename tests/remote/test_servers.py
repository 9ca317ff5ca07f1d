"""The client of servers: what it leaves behind."""

import gc
import warnings

import pytest
from judge_servers import completion, serving

from rpo_bench.remote.servers import connect
from rpo_bench.remote.urls import Address


@pytest.mark.parametrize("ends", ["collected", "at once"])
def test_a_client_that_nobody_holds_leaves_no_connection_open(ends):
    """An open socket is told of by whatever runs when it is collected: another test, or a user's program."""
    with serving(lambda *_: completion("yes")) as server:
        client = connect(Address(server.url), None, timeout=20, retries=0)
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
        if ends == "collected":
            client.itself = client  # a circle, which the collector alone ends
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del client
            gc.collect()
    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []
