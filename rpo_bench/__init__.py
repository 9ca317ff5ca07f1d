"""RPO-Bench: which training objective buys the most reward per nat of KL, and at what cost.

``import rpo_bench as rb`` offers what the command line does; each name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from rpo_bench.shadows import install

install()

if TYPE_CHECKING:
    from rpo_bench.analysis.section import Options as CompareOptions
    from rpo_bench.api.results import compare, differences, leaderboard, load_results
    from rpo_bench.api.runs import Run, evaluate, make_spec, train_and_eval, tune
    from rpo_bench.errors import UserError
    from rpo_bench.models.push import push_to_hub

__version__ = "0.1.0"

__all__ = [
    "CompareOptions",
    "Run",
    "UserError",
    "__version__",
    "compare",
    "differences",
    "evaluate",
    "leaderboard",
    "load_results",
    "make_spec",
    "push_to_hub",
    "train_and_eval",
    "tune",
]

_WHERE = {
    "CompareOptions": "rpo_bench.analysis.section:Options",
    "Run": "rpo_bench.api.runs:Run",
    "UserError": "rpo_bench.errors:UserError",
    "compare": "rpo_bench.api.results:compare",
    "differences": "rpo_bench.api.results:differences",
    "evaluate": "rpo_bench.api.runs:evaluate",
    "leaderboard": "rpo_bench.api.results:leaderboard",
    "load_results": "rpo_bench.api.results:load_results",
    "make_spec": "rpo_bench.api.runs:make_spec",
    "push_to_hub": "rpo_bench.models.push:push_to_hub",
    "train_and_eval": "rpo_bench.api.runs:train_and_eval",
    "tune": "rpo_bench.api.runs:tune",
}


def __getattr__(name: str) -> Any:
    """A name of the interface, from its module."""
    if name not in _WHERE:
        raise AttributeError(f"module 'rpo_bench' has no attribute '{name}'")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
