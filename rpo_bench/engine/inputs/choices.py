"""Resolves methods, options and strengths, and checks that the data have what each method needs."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.data.convert import group_ids, pairs_in, rewards_of
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.hashing import hash_file, hash_json
from rpo_bench.methods.registry import METHODS, default_method, resolve_method
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import MethodSpec
from trainers.objective import Method, Need, OfflineMethod
from trainers.pairs import Pairing, pair_rows
from trainers.rounds import in_rounds

#: The option for an online method's passes over its rollouts, and its default in all runs.
EPOCHS = "inner_epochs"
ONLINE_EPOCHS = 1

#: Modules of built-in methods, identified by the release. Methods of plug-ins are identified by content.
_OURS = ("trainers", "rpo_bench")


@dataclass(frozen=True)
class Choice:
    """A method with its options in canonical form and its strengths.

    Attributes:
        fixed: whether an option sets the only strength, as in ``rpo(tau=0.3)``.
    """

    spec: MethodSpec
    method: Method
    strengths: tuple[float, ...]
    fixed: bool = False


def choose(spec: RunSpec) -> list[Choice]:
    """Resolves the methods and strengths of a run.

    Raises:
        UserError: an unknown method, option or strength, or one given twice.
    """
    choices = [_choice(method, spec) for method in spec.methods]
    labels = [choice.spec.label for choice in choices]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"--methods names {label} twice.")
    names = {name for choice in choices for name in (choice.spec.name, choice.spec.label)}
    for name in spec.strengths:
        if name != "*" and name not in names:
            raise UserError(f"--strengths: '{name}' is not among the methods.{did_you_mean(name, names)}")
    return choices


def _choice(named: MethodSpec, spec: RunSpec) -> Choice:
    says_epochs = _says_epochs(named, spec)
    given = named
    if says_epochs:
        given = named.model_copy(update={"options": {EPOCHS: ONLINE_EPOCHS, **named.options}})
    method = resolve_method(given)
    strengths = _strengths(named, method, spec)
    for strength in strengths:
        _check_strength(given, method, strength)
    default = default_method(given.name)
    kept = {
        name: getattr(method, name)
        for name in given.options
        if name != method.strength_name
        and (getattr(method, name) != getattr(default, name) or (name == EPOCHS and says_epochs))
    }
    canonical = MethodSpec(name=given.name, options=kept, source=source_of(METHODS.get(given.name), method))
    return Choice(canonical, method, strengths, fixed=method.strength_name in given.options)


def _says_epochs(method: MethodSpec, spec: RunSpec) -> bool:
    """Whether a method's label must show its number of passes over its rollouts.

    All online methods get the same number by default. If a method's own default differs, its label shows the
    number, so that it isn't mistaken for what version 0.1, or the method's authors, ran under that name.
    """
    own = getattr(default_method(method.name), EPOCHS, ONLINE_EPOCHS)
    return own != ONLINE_EPOCHS and not spec.training.of_version_0_1


def _strengths(given: MethodSpec, method: Method, spec: RunSpec) -> tuple[float, ...]:
    if method.strength_name in given.options:  # rpo(tau=0.3)
        return (method.strength,)
    for name in (given.label, given.name, "*"):
        if name in spec.strengths:
            return tuple(dict.fromkeys(spec.strengths[name]))
    return spread(own_strengths(default_method(given.name)), spec.n_strengths)


def own_strengths(default: Method) -> tuple[float, ...]:
    """The method's own ladder, centred on its preset's strength where that differs (rpo-released)."""
    ladder = default.default_strengths
    if default.strength in ladder:
        return ladder
    return tuple(value * default.strength / ladder[len(ladder) // 2] for value in ladder)


def spread(values: Sequence[float], count: int | None) -> tuple[float, ...]:
    """``count`` evenly spaced values including both ends; the middle one for a count of 1."""
    if count is None or count >= len(values):
        return tuple(values)
    if count == 1:
        return (values[len(values) // 2],)
    picked = np.linspace(0, len(values) - 1, count).round().astype(int)
    return tuple(values[index] for index in picked)


def _check_strength(given: MethodSpec, method: Method, strength: float) -> None:
    where = f"--strengths: {given.label} at {method.strength_name} = {strength:g}"
    if not np.isfinite(strength) or strength <= 0:
        raise UserError(f"{where}: a strength is a positive number.")
    try:
        method.with_strength(strength)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def source_of(factory: Callable[[], Method], method: Method) -> str | None:
    """The content hash of a plug-in method's files; None for built-in methods."""
    modules = {type(method).__module__, getattr(factory, "__module__", None) or type(method).__module__}
    foreign = sorted(name for name in modules if name.partition(".")[0] not in _OURS)
    files = [getattr(sys.modules.get(name), "__file__", None) for name in foreign]
    hashes = [hash_file(Path(file)) for file in files if file is not None]
    return hash_json(hashes)[:16] if hashes else None


def check_needs(choices: Sequence[Choice], rows: Sequence[Row], where: str) -> list[str]:
    """Checks that the rows have the fields that every method needs.

    Returns:
        Warnings about methods that run but degenerate on these data.

    Raises:
        UserError: names the method, what it needs, and what the data have.
    """
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.prompt_id] = sizes.get(row.prompt_id, 0) + 1
    facts = _Facts(where, rows, sizes)
    for choice in choices:
        at_all = {need for s in choice.strengths for need in choice.method.with_strength(s).needs}
        if not choice.method.learns_from_logged:
            at_all &= {Need.REFERENCE_REWARDS}  # the rows are sampled
        elif isinstance(choice.method, OfflineMethod) and choice.method.rounds:
            at_all |= in_rounds(choice.method).needs
        for need in sorted(at_all):
            _CHECKS.get(need, _nothing)(choice.spec.label, facts)
        if Need.PAIR in at_all:
            _check_pairs(choice, facts)
    return _warnings(choices, facts)


def check_rollouts(choices: Sequence[Choice], rewarded: bool) -> None:
    """Checks that online methods have a reward; raises UserError that names the method otherwise."""
    for choice in choices:
        if choice.method.samples_policy and not rewarded:
            raise UserError(
                f"{choice.spec.label} samples its own responses and needs a reward for them, but the "
                "task has none: give one with --reward python:FILE:FUNCTION, or leave the method out."
            )


@dataclass(frozen=True)
class _Facts:
    """The data, with the number of responses to each prompt."""

    where: str
    rows: Sequence[Row]
    sizes: Mapping[str, int]


def _check_group(label: str, facts: _Facts) -> None:
    lonely = sum(size == 1 for size in facts.sizes.values())
    if lonely:
        raise UserError(
            f"{label} needs at least two responses to every prompt; in {facts.where} {lonely:,} of "
            f"{len(facts.sizes):,} prompts have one. Leave the method out, or give data with more."
        )


def _check_pair(label: str, facts: _Facts) -> None:
    if max(facts.sizes.values()) == 1:
        raise UserError(
            f"{label} needs two responses to a prompt; in {facts.where} every prompt has one. Leave the "
            "method out, or give data with more."
        )


def _check_pairs(choice: Choice, facts: _Facts) -> None:
    """Two responses need not form a pair: their rewards may be equal, or their partners may be missing."""
    rows = facts.rows
    pairing: Pairing = getattr(choice.method, "pairing", "adjacent")
    if not len(pair_rows(rewards_of(rows), group_ids(rows), pairing, pairs_in(rows))):
        raise UserError(
            f"{choice.spec.label} needs pairs of responses to a prompt; {facts.where} has none whose rewards "
            "differ (or every preference pair has lost one of its two rows). Leave the method out, or give "
            "data with pairs."
        )


def _check_behaviour(label: str, facts: _Facts) -> None:
    missing = sum(row.behaviour_logp is None for row in facts.rows)
    if missing:
        raise UserError(
            f"{label} needs 'behaviour_logp' in every row, the log-probability under the policy that wrote "
            f"it; in {facts.where} {missing:,} of {len(facts.rows):,} rows have none."
        )


def _check_reference_rewards(label: str, facts: _Facts) -> None:
    missing = len({row.prompt_id for row in facts.rows if not row.reference_rewards})
    if missing:
        raise UserError(
            f"{label} needs 'reference_rewards', rewards of reference-policy samples, for every prompt; in "
            f"{facts.where} {missing:,} of {len(facts.sizes):,} prompts have none."
        )


def _check_reward(label: str, facts: _Facts) -> None:
    if len({row.reward for row in facts.rows}) == 1:
        raise UserError(
            f"All rewards in {facts.where} are {facts.rows[0].reward:g}: {label} has nothing to learn from."
        )


def _nothing(label: str, facts: _Facts) -> None:
    """The engine provides these itself (value network, mismatched pairs), so nothing is checked."""


_CHECKS: dict[Need, Any] = {
    Need.GROUP: _check_group,
    Need.PAIR: _check_pair,
    Need.BEHAVIOUR_LOGP: _check_behaviour,
    Need.REFERENCE_REWARDS: _check_reference_rewards,
    Need.REWARD: _check_reward,
    Need.LABEL: _check_reward,
}


def _warnings(choices: Sequence[Choice], facts: _Facts) -> list[str]:
    if max(facts.sizes.values()) > 1:
        return []
    consequences = {
        "released": "the reward cancels out of the loss",
        "log_mean_exp": "every target is the reference itself, so nothing is learnt from the reward",
    }
    return [
        f"{choice.spec.label}: {facts.where} has one response per prompt, and {consequences[option]}."
        for choice in choices
        if choice.method.learns_from_logged
        and (option := getattr(choice.method, "partition", None)) in consequences
    ]
