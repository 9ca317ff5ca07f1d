"""Registry of methods, and resolving a spec to a method."""

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.plain_data import number_problem, shown
from rpo_bench.registry import Registry
from rpo_bench.spec.sections import MethodSpec
from trainers.objective import Axes, Method

#: Name → a factory of the method with its default options.
METHODS: Registry[Callable[[], Method]] = Registry(
    "method",
    "rpo_bench.methods",
    {
        "sft": "trainers.sft:SFT",
        "kto": "trainers.kto:KTO",
        "bco": "trainers.bco:BCO",
        "dro": "trainers.dro:DRO",
        "dro-p": "trainers.dro:DRO.batch_mean",
        "rpo": "trainers.rpo:RPO",
        "rpo-released": "trainers.rpo:RPO.released",
        "una": "trainers.una:UNA",
        "a-star-po": "trainers.a_star_po:AStarPO",
        "qrpo": "trainers.qrpo:QRPO",
        "dpo": "trainers.dpo:DPO",
        "ipo": "trainers.dpo:IPO",
        "slic": "trainers.dpo:SLiC",
        "cdpo": "trainers.dpo:ConservativeDPO",
        "robust-dpo": "trainers.dpo:RobustDPO",
        "r-dpo": "trainers.dpo:LengthRegularisedDPO",
        "ln-dpo": "trainers.dpo:LengthNormalisedDPO",
        "simpo": "trainers.dpo:SimPO",
        "reward-aware-dpo": "trainers.dpo:RewardAwareDPO",
        "dpop": "trainers.dpo:PositiveDPO",
        "dpo-sft": "trainers.dpo:SupervisedDPO",
        "orpo": "trainers.dpo:ORPO",
        "rebel": "trainers.rebel:REBEL",
        "ppo": "trainers.ppo:PPO",
        "grpo": "trainers.grpo:GRPO",
        "grpo-filtered": "trainers.grpo:GRPO.filtered",
        "gspo": "trainers.grpo:GSPO",
        "cispo": "trainers.grpo:CISPO",
        "rloo": "trainers.rloo:RLOO",
        "p3o": "trainers.p3o:P3O",
        "popo": "trainers.popo:POPO",
        "popo-on-policy": "trainers.popo:POPO.on_policy_replay",
    },
)


_STATED = ("name", "title", "paper", "equation", "axes", "strength_name", "default_strengths")


def default_method(name: str) -> Method:
    """The method registered as ``name``, with its default options.

    Raises:
        UserError: the method is unknown, or a plug-in registered something else.
    """
    try:
        method = METHODS.get(name)()
    except TypeError as error:  # an abstract class: a function is missing
        raise UserError(f"Method '{name}' can't be made: {error}.") from error
    if not isinstance(method, Method):
        raise UserError(
            f"The factory registered as method '{name}' makes a {type(method).__name__}, not a "
            "trainers.OfflineMethod."
        )
    missing = [attribute for attribute in _STATED if not hasattr(method, attribute)]
    if "axes" not in missing and not isinstance(method.axes, Axes):
        missing.append("axes as trainers.objective.Axes")
    if missing:
        raise UserError(f"Method '{name}' doesn't state its {', '.join(missing)}: see docs/add-a-method.md.")
    return method


def resolve_method(spec: MethodSpec, strength: float | None = None) -> Method:
    """The method of a spec, with its options and strength.

    Raises:
        UserError: unknown name or option, or a value of the wrong type.
    """
    method = default_method(spec.name)
    fields = {field.name: field for field in dataclasses.fields(method)}
    for option in spec.options:
        if option not in fields:
            raise UserError(
                f"Method '{spec.name}' has no option {shown(option)}.{did_you_mean(option, fields)}"
            )
    hints = typing.get_type_hints(type(method))
    changes = {name: _cast(spec, name, hints[name], value) for name, value in spec.options.items()}
    method = dataclasses.replace(method, **changes)
    return method if strength is None else method.with_strength(strength)


def _cast(spec: MethodSpec, name: str, hint: Any, value: Any) -> Any:
    """Converts an option's value, possibly command-line text, to the field's type."""
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            hint_text = did_you_mean(str(value), map(str, allowed))
            raise UserError(f"Method '{spec.name}': {shown(value)} is no value of {name}.{hint_text}")
        return value
    if origin in (types.UnionType, typing.Union):
        if value in (None, "none", "None"):
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if hint is bool:
        if str(value).lower() not in ("true", "false"):
            raise UserError(f"Method '{spec.name}': {name} is true or false, not {shown(value)}.")
        return str(value).lower() == "true"
    try:
        found = _as(hint, value)
    except (TypeError, ValueError, OverflowError):
        kind = getattr(hint, "__name__", str(hint))
        raise UserError(f"Method '{spec.name}': {name} takes a {kind}, not {shown(value)}.") from None
    if isinstance(found, int | float) and number_problem(found) is not None:
        raise UserError(f"Method '{spec.name}': {name} takes a finite number, not {shown(value)}.")
    return found


def _as(hint: Any, value: Any) -> Any:
    """A value as a field's type; raises ValueError for lossy conversions: true, 1.5, a list."""
    if hint in (int, float, str) and not isinstance(value, int | float | str):
        raise ValueError
    if hint in (int, float) and isinstance(value, bool):
        raise ValueError
    if hint is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    return hint(value)
