"""Runs all conditions: a method over K, strengths and on/off-policy data, with a verdict for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpo_bench.errors import UserError, located
from rpo_bench.tabular.claims import EXACT_ROWS, usual_noise
from rpo_bench.tabular.contract import Contract, check_contract
from rpo_bench.tabular.logged import Sampling, whole_groups
from rpo_bench.tabular.truth import (
    LARGE_K,
    Condition,
    Log,
    Regime,
    Truth,
    has_limit,
    log_of,
    prepared,
    sampling_for,
    truth_of,
)
from rpo_bench.tabular.verdict import Verdict, verdict_of
from rpo_bench.tabular.world import World, make_world
from trainers.objective import Method, OfflineMethod
from trainers.round_checks import check_rounds

KS = (1, 2, 4, 16)
_MOST_ROUNDS = 100  # each is trained to its fixed point

REGIMES: tuple[Regime, ...] = ("on_policy", "off_policy")


@dataclass(frozen=True)
class Questions:
    """The conditions to run.

    Attributes:
        strengths: of the method; None: three of its own.
        ks: responses per prompt, below EXACT_ROWS; the limit K → ∞ or a large K is added.
        seed: of the problem and of the logs.
        noise: scale of the Gumbel noise in the rewards; None: 0 for a method that regresses on them, 1 for
            one that only compares them.
        units: minimum number of rows or pairs per prompt in a log.
    """

    strengths: tuple[float, ...] | None = None
    ks: tuple[int, ...] = KS
    seed: int = 0
    noise: float | None = None
    units: int = 2048


@dataclass(frozen=True)
class Verification:
    """The results of a method.

    Attributes:
        method: its name, with options.
        strength_name: the name of its strength.
        noise: of the observed rewards.
        contract: whether its functions agree with each other.
        truths: the results by condition.
        missing: "K = 1" → why there is no result.
        verdicts: one for each kind of data.
    """

    method: str
    strength_name: str
    noise: float
    contract: Contract
    truths: tuple[Truth, ...]
    missing: dict[int, str]
    verdicts: dict[Regime, Verdict]


def verify(
    label: str,
    method: OfflineMethod,
    questions: Questions = Questions(),
    progress: Callable[[Condition], None] = lambda condition: None,
) -> Verification:
    """Trains ``method`` in the table under every condition.

    Args:
        label: its name in the result.
        method: with any strength.
        questions: the conditions.
        progress: called with every condition before it is run.

    Raises:
        UserError: a function of the method fails, or it can't learn from any K.
    """
    try:
        return _verify(label, method, questions, progress)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"Method '{label}' failed in the table: {located(error)}.") from error


def own_strengths(method: Method) -> tuple[float, ...]:
    """Three of a method's strengths, the most conservative left out where there are more."""
    strengths = method.default_strengths
    return tuple(strengths[1:4]) if len(strengths) > 3 else tuple(strengths)


def _verify(
    label: str, method: OfflineMethod, questions: Questions, progress: Callable[[Condition], None]
) -> Verification:
    if method.rounds:
        _check_rounds(method)
    world = make_world(questions.seed)
    noise = usual_noise(method) if questions.noise is None else questions.noise
    strengths = questions.strengths or own_strengths(method)
    regimes: tuple[Regime, ...] = ("rollouts",) if method.rounds else REGIMES
    columns, missing = _columns(method, world, (method.samples,) if method.rounds else questions.ks)
    truths = []
    for data in regimes:
        for k, limit in columns:
            logs = _logs(method, world, Condition(data, strengths[0], k, limit), noise, questions)
            for strength in strengths:
                condition = Condition(data, strength, k, limit)
                progress(condition)
                truths.append(truth_of(method.with_strength(strength), world, condition, logs))
    return Verification(
        method=label,
        strength_name=method.strength_name,
        noise=noise,
        contract=_contract(method, world, columns[0][0]),
        truths=tuple(truths),
        missing=missing,
        verdicts={data: verdict_of([t for t in truths if t.condition.data == data]) for data in regimes},
    )


def _check_rounds(method: OfflineMethod) -> None:
    """Refuses options of rounds that the table doesn't have, or that no training takes."""
    if method.fresh < 1 or method.prompts != "uniform":
        raise UserError(
            f"{method.name}: the table has no logged rows and all prompts: omit fresh and prompts."
        )
    check_rounds(method, max(_MOST_ROUNDS, method.rounds), max(_MOST_ROUNDS, method.samples))
    if method.rounds > _MOST_ROUNDS:
        raise UserError(f"{method.name}: the table takes up to {_MOST_ROUNDS} rounds, not {method.rounds}.")


def _columns(
    method: OfflineMethod, world: World, ks: Sequence[int]
) -> tuple[list[tuple[int, bool]], dict[int, str]]:
    """The K that the method can train on, the largest included, and why not on the others."""
    found, missing = [], {}
    for k in sorted(set(ks)):
        try:
            prepared(method, world, log_of(method, world, Sampling(k, whole_groups(k, 4 * k)), 0))
        except UserError as error:
            missing[k] = str(error)
        else:
            found.append((k, False))
    if method.rounds:  # rows are sampled: K is an option of the method
        return found, missing
    last = (EXACT_ROWS, True) if has_limit(method, world) else (max(LARGE_K, *ks), False)
    return [column for column in found if column[0] < last[0]] + [last], missing


def _logs(
    method: OfflineMethod, world: World, condition: Condition, noise: float, questions: Questions
) -> list[Log]:
    """Two logs that differ only by chance, or one exact log."""
    sampling = sampling_for(method, world, condition, noise, questions.units)
    number = 1 if condition.limit and noise == 0.0 else 2
    return [log_of(method, world, sampling, questions.seed + 1000 * i) for i in range(number)]


def _contract(method: OfflineMethod, world: World, k: int) -> Contract:
    log = log_of(method, world, Sampling(k, whole_groups(k, 64)), 0)
    return check_contract(method, prepared(method, world, log), world)
