"""Comparing stored results: which may be compared, on what, and what the difference is worth.

The package can be called: ``rpo_bench.compare("rpo", "dro")`` is ``rpo_bench.api.compare``, whose name
it has.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """``rpo_bench.api.compare``."""
        from rpo_bench.api import compare

        return compare(*args, **options)


sys.modules[__name__].__class__ = _Callable
