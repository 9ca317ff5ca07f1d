"""Addresses within others' words."""

from rpo_bench.remote.urls import error_line


def test_an_address_is_bare_of_secrets_even_where_the_line_is_cut():
    """The password stands where a line of this length loses its middle."""
    address = f"https://ada:{'s3cret' * 20}@hub.test/org/name"
    for before in range(0, 240, 10):
        found = error_line(ConnectionError(f"{'x' * before} {address} {'y' * 200}"))
        assert "s3cret" not in found
    assert error_line(ConnectionError(f"no answer of {address}")) == "no answer of https://hub.test/org/name"
