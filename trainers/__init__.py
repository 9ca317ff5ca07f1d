"""How a checkpoint is made: one file per method, one engine.

Works alone, without the harness::

    from trainers import RPO, TrainingSettings, fit
    fit(RPO(tau=0.5), model, examples, TrainingSettings(steps=300), out_dir)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.a_star_po import AStarPO as AStarPO
    from trainers.bco import BCO as BCO
    from trainers.dpo import DPO as DPO
    from trainers.drawing import World as World
    from trainers.dro import DRO as DRO
    from trainers.examples import Examples as Examples
    from trainers.fitting import fit as fit
    from trainers.fitting_online import fit_online as fit_online
    from trainers.grpo import GRPO as GRPO
    from trainers.kto import KTO as KTO
    from trainers.objective import Method as Method
    from trainers.objective import Need as Need
    from trainers.objective import OfflineMethod as OfflineMethod
    from trainers.online import OnlineMethod as OnlineMethod
    from trainers.p3o import P3O as P3O
    from trainers.popo import POPO as POPO
    from trainers.ppo import PPO as PPO
    from trainers.qrpo import QRPO as QRPO
    from trainers.rebel import REBEL as REBEL
    from trainers.rloo import RLOO as RLOO
    from trainers.rpo import RPO as RPO
    from trainers.settings import FitResult as FitResult
    from trainers.settings import TrainingSettings as TrainingSettings
    from trainers.sft import SFT as SFT
    from trainers.una import UNA as UNA

_HOMES = {
    "OnlineMethod": "online",
    "fit_online": "fitting_online",
    "World": "drawing",
    "RLOO": "rloo",
    "PPO": "ppo",
    "POPO": "popo",
    "P3O": "p3o",
    "GRPO": "grpo",
    "AStarPO": "a_star_po",
    "BCO": "bco",
    "DPO": "dpo",
    "DRO": "dro",
    "Examples": "examples",
    "FitResult": "settings",
    "KTO": "kto",
    "Method": "objective",
    "Need": "objective",
    "OfflineMethod": "objective",
    "QRPO": "qrpo",
    "REBEL": "rebel",
    "RPO": "rpo",
    "SFT": "sft",
    "UNA": "una",
    "TrainingSettings": "settings",
    "fit": "fitting",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Imports late, so that reading a method's name doesn't load torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trainers' has no attribute '{name}'")
    return getattr(importlib.import_module(f"trainers.{_HOMES[name]}"), name)
