"""The design space on civil_qa: which responses, by which loss; gains at equal KL and rollouts.

    python benchmarks/design_space.py [--out runs/design-space] [--tuned FILE] [--points FILE] [--seeds 0,1,2]

The decoder, 120 steps of 64 responses. DPO, KTO, DRO and RPO learn from logged rows, in four rounds, and
fully online, beside GRPO and RLOO. Then P3O's two forms make four passes over each iteration's rollouts, so
that their clip acts, beside RLOO and PPO with four. Learning rates are chosen by ``rpo-bench tune``. Each
loss has one rate, and online methods without a critic take GRPO's. Strengths are placed near the KL budgets.
A second table has differences between methods, seed by seed.
``--out`` trains the methods that the file lacks.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fairness import gains_by_seed, interval
from points import add_lines, estimate, read_lines

if TYPE_CHECKING:
    from rpo_bench.results.schema import Record

STEPS = 120
BUDGETS = (0.3, 0.5)
FAR = 1.5  # a strength whose KL is off a budget by more than this factor isn't close to it
#: Strengths beyond the ends of a method's own ladder, at most; with three, 0.5 nats lay between far ones.
PLACED = 6
#: Methods that are trained together, and whose tuned learning rate they have.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(
        (loss, (loss, f"{loss}(rounds=4)", f"{loss}(rounds={STEPS})"))
        for loss in ("dpo", "kto", "dro", "rpo")
    ),
    ("grpo", ("grpo", "rloo")),
    ("grpo", ("p3o(inner_epochs=4)", "p3o(form=joint,inner_epochs=4)", "rloo(inner_epochs=4)")),
    ("ppo", ("ppo(inner_epochs=4)",)),
)
#: Methods that are compared seed by seed: fresh against logged responses, then against each other.
PAIRS = (
    *((f"{loss}(rounds={n})", loss) for loss in ("dpo", "kto", "dro", "rpo") for n in (4, STEPS)),
    *((f"{loss}(rounds={STEPS})", "rloo") for loss in ("dpo", "dro", "rpo")),
    *((f"{loss}(rounds={STEPS})", "grpo") for loss in ("dro", "rpo")),
    ("rloo", "grpo"),
    *((loss, "grpo") for loss in ("dpo", "dro", "rpo")),
    *((f"p3o({form}inner_epochs=4)", "rloo(inner_epochs=4)") for form in ("", "form=joint,")),
    *((f"p3o({form}inner_epochs=4)", "ppo(inner_epochs=4)") for form in ("", "form=joint,")),
)
POINTS = Path(__file__).with_name("design_space.csv")
TUNED = Path(__file__).with_name("tuned.json")


@dataclass(frozen=True)
class Made:
    """One checkpoint, and what it cost.

    Attributes:
        kl: nats per sequence; NaN where it diverged.
        gain: reward over the reference policy's.
        rollouts: responses sampled from the policy in training.
        seconds: of training; to be compared within one machine.
        held_back: share of gradients that the trust region held back; NaN without one.
        commit: of the code that trained it.
    """

    method: str
    learning_rate: float
    strength: float
    seed: int
    kl: float
    gain: float
    rollouts: int
    seconds: float
    held_back: float
    commit: str

    @property
    def key(self) -> tuple[str, float, float, int]:
        """What makes it another checkpoint."""
        return self.method, self.learning_rate, self.strength, self.seed


def main() -> None:
    """Trains what is missing, if asked to, and prints the table."""
    options = _flags()
    rates = tuned_rates(options.tuned)
    if options.out is not None:
        train_missing(options, rates)
    points = read_lines(options.points, Made)
    print("\n".join([*table(points, rates), "", *differences(points, rates)]))


def train_missing(options: argparse.Namespace, rates: Mapping[str, float]) -> None:
    """Trains the methods of which some seed has no line in the file, at the tuned learning rate."""
    points = read_lines(options.points, Made)
    for loss, methods in GROUPS:
        done = {(point.method, point.seed) for point in points if point.learning_rate == rates[loss]}
        missing = [one for one in methods if any((_label(one), seed) not in done for seed in options.seeds)]
        if missing:
            train(missing, rates[loss], options)


def _label(method: str) -> str:
    """A method's name in results."""
    from rpo_bench.spec.parsing import parse_methods

    return parse_methods(method)[0].label


def tuned_rates(file: Path) -> dict[str, float]:
    """Method → its learning rate, by a file of ``rpo-bench tune``; options left out."""
    from rpo_bench.tuning.schema import read_tuned

    return {one.method.partition("(")[0]: one.learning_rate for one in read_tuned(file)[0].choices}


def train(methods: Sequence[str], rate: float, options: argparse.Namespace) -> None:
    """Trains and measures methods at strengths near the budgets, and adds them to the file."""
    import rpo_bench as rb

    words = "-".join([*methods, f"{rate:g}"])
    folder = options.out / "".join(c if c.isalnum() else "-" for c in words)
    rb.train_and_eval(
        "quick",
        task="civil_qa",
        models=["decoder"],
        methods=",".join(methods),
        n_strengths=2,
        kl_budgets=BUDGETS,
        placed=PLACED,
        seeds=options.seeds,
        training={"steps": STEPS, "learning_rate": rate, "probe_every": 0},
        evaluation={"toxicity": "none"},
        output_path=folder,
        workers=options.workers,
        judge="none",
    )
    add_lines(options.points, Made, made(folder), lambda point: point.key)


def made(out: Path) -> Iterator[Made]:
    """The checkpoints of a run's folder."""
    from rpo_bench.results.store import read_results

    records = [stored.record for stored in read_results([out / "results"]).records]
    start = next(estimate(record, "reward") for record in records if record.spec.strength is None)
    for record in records:
        if record.spec.strength is not None:
            yield _made(record, start)


def _made(record: "Record", start: float) -> Made:
    spec, held_back = record.spec, record.stability.get("ratio_clipped_share")
    assert spec.strength is not None
    assert spec.training.learning_rate is not None
    return Made(
        method=spec.method.label,
        learning_rate=spec.training.learning_rate,
        strength=spec.strength,
        seed=spec.seed,
        kl=round(estimate(record, "kl"), 5),
        gain=round(estimate(record, "reward") - start, 5),
        rollouts=record.cost.rollouts,
        seconds=round(record.cost.train_seconds, 1),
        held_back=float("nan") if held_back is None else round(held_back, 4),
        commit=(record.environment.git_commit or "")[:10],
    )


def table(points: Sequence[Made], rates: Mapping[str, float]) -> Iterator[str]:
    """Gains at each KL budget by the tuned rates, and what a checkpoint cost, as lines of Markdown."""
    budgets = " | ".join(f"KL {budget:g}" for budget in BUDGETS)
    yield f"| method | learning rate | {budgets} | rollouts | seconds | held back by the clip |"
    yield "|---" * (5 + len(BUDGETS)) + "|"
    for rate, method in ((rates[loss], one) for loss, methods in GROUPS for one in methods):
        own = _points_of(points, method, rates)
        if own:
            gains = [_gain(own, budget) for budget in BUDGETS]
            cost = [f"{own[0].rollouts:,}", _mean_of(p.seconds for p in own), _shares(own)]
            yield f"| {' | '.join([method, f'{rate:g}', *gains, *cost])} |"


def differences(points: Sequence[Made], rates: Mapping[str, float]) -> Iterator[str]:
    """Differences in gain between pairs of methods, seed by seed, as lines of Markdown."""
    yield f"| method | against | {' | '.join(f'KL {budget:g}' for budget in BUDGETS)} |"
    yield "|---" * (2 + len(BUDGETS)) + "|"
    for pair in PAIRS:
        own, other = (_points_of(points, method, rates) for method in pair)
        if own and other:
            cells = (_difference(own, other, budget) for budget in BUDGETS)
            yield f"| {' | '.join([*pair, *cells])} |"


def _difference(own: Sequence[Made], other: Sequence[Made], budget: float) -> str:
    first, second = (gains_by_seed(points, None, budget) for points in (own, other))
    return interval([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def _points_of(points: Sequence[Made], method: str, rates: Mapping[str, float]) -> list[Made]:
    """A method's points at the tuned learning rate of its group."""
    rate = next(rates[loss] for loss, methods in GROUPS if method in methods)
    return [p for p in points if p.method == _label(method) and p.learning_rate == rate]


def _gain(points: Sequence[Made], budget: float) -> str:
    """A method's gain at a budget; "far" where some seed has no strength close to it on either side."""
    gain = interval(list(gains_by_seed(points, None, budget).values()))
    kls = [[p.kl for p in points if p.seed == seed] for seed in sorted({p.seed for p in points})]
    close = all(
        any(budget / FAR <= kl <= budget for kl in own) and any(budget <= kl <= budget * FAR for kl in own)
        for own in kls
    )
    return gain if close or gain == "not reached" else f"{gain} (far)"


def _mean_of(values: Iterable[float]) -> str:
    return f"{np.mean(list(values)):.0f}"


def _shares(points: Iterable[Made]) -> str:
    """The smallest and the largest share over strengths and seeds."""
    shares = [100 * point.held_back for point in points if not np.isnan(point.held_back)]
    return f"{min(shares):.1f} to {max(shares):.1f} %" if shares else "–"


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where runs are kept; without it nothing is trained")
    parser.add_argument("--tuned", type=Path, default=TUNED, help="the file of rpo-bench tune")
    parser.add_argument("--points", type=Path, default=POINTS, help="the CSV file of checkpoints")
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--workers", type=int, help="processes; as many as cores by default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
