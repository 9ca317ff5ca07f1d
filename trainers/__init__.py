"""How a checkpoint is made: one file per method, one engine.

Works alone, without the harness::

    from trainers import RPO, TrainingSettings, fit
    fit(RPO(tau=0.5), model, examples, TrainingSettings(steps=300), out_dir)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.dro import DRO as DRO
    from trainers.examples import Examples as Examples
    from trainers.fitting import fit as fit
    from trainers.kto import KTO as KTO
    from trainers.objective import Method as Method
    from trainers.objective import Need as Need
    from trainers.rpo import RPO as RPO
    from trainers.settings import FitResult as FitResult
    from trainers.settings import TrainingSettings as TrainingSettings
    from trainers.sft import SFT as SFT

_HOMES = {
    "DRO": "dro",
    "Examples": "examples",
    "FitResult": "settings",
    "KTO": "kto",
    "Method": "objective",
    "Need": "objective",
    "RPO": "rpo",
    "SFT": "sft",
    "TrainingSettings": "settings",
    "fit": "fitting",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Imports late, so that reading a method's name doesn't load torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trainers' has no attribute '{name}'")
    return getattr(importlib.import_module(f"trainers.{_HOMES[name]}"), name)
