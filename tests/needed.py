"""Packages that tests need: looked for, not imported, so that collecting the tests stays cheap."""

from importlib.util import find_spec

import pytest


def needed(package: str, reason: str = "") -> None:
    """Skips the module that calls it where a package isn't installed (`importorskip` would import it)."""
    if find_spec(package) is None:
        pytest.skip(reason or f"{package} isn't installed", allow_module_level=True)
