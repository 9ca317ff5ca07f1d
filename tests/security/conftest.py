"""What the tests of hostile input share."""

import pytest

from rpo_bench.files import reading


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bombs of megabytes, which go off as fast as those of gigabytes do."""
    for name, limit in {"UNPACKED": 2**20, "SMALL": 2**20, "LARGE": 2**21, "LINES": 100_000}.items():
        monkeypatch.setattr(reading, name, limit)
