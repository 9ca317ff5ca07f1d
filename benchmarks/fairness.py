"""What the harness does to whom: batches × clipping × strengths, as gains over the reference at equal KL.

    python benchmarks/fairness.py --out runs/fairness [--methods rpo,dro,una] [--models decoder] [--seeds 0,1]

Trains every method by each protocol (how batches are drawn, how gradients are clipped) and reads its reward
at some KL budgets from straight lines through its strengths: three as version 0.1 ran ("coarse"), a ladder
three times as dense ("dense"), or that with strengths placed near the budgets ("placed"). A second table says
what each change did to whom. What is done is kept: run again, it goes on. Intervals are Student's over
training seeds; differences are paired by seed. docs/protocol.md has the tables.
"""

import argparse
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rpo_bench.results.schema import Record

PROTOCOLS = tuple(itertools.product(("by_length", "uniform"), ("absolute", "relative", "none")))
BUDGETS = (0.3, 0.5, 0.75)
COARSE = 3  # strengths of version 0.1's ladder
PLACED = 6  # at most so many beyond the dense ladder
#: What is changed, from one way (batches, clipping, strengths) to another.
CHANGES = {
    "dense for coarse strengths": (("by_length", "absolute", "coarse"), ("by_length", "absolute", "dense")),
    "uniform batches": (("by_length", "absolute", "dense"), ("uniform", "absolute", "dense")),
    "relative clipping": (("uniform", "absolute", "dense"), ("uniform", "relative", "dense")),
    "no clipping": (("uniform", "absolute", "dense"), ("uniform", "none", "dense")),
    "placed for dense strengths": (("uniform", "relative", "dense"), ("uniform", "relative", "placed")),
    "all": (("by_length", "absolute", "coarse"), ("uniform", "relative", "placed")),
}
#: Offline methods; each has a ladder of five strengths of its own.
METHODS = "sft,kto,dro,dro-p,rpo,una,a-star-po,qrpo,dpo,ipo,rebel"


@dataclass(frozen=True)
class Point:
    """One checkpoint: where it lies on its method's frontier.

    Attributes:
        kl: nats per sequence.
        gain: reward over the reference policy's.
        length: tokens of a response.
        clipped: share of steps clipped; None where it isn't known.
    """

    strength: float
    seed: int
    kl: float
    gain: float
    length: float
    clipped: float | None


@dataclass(frozen=True)
class Gain:
    """A method's gain at a KL budget by one protocol.

    Attributes:
        by_seed: training seed → gain; NaN where the seed doesn't reach the budget.
    """

    model: str
    method: str
    batches: str
    clipping: str
    strengths: str
    budget: float
    by_seed: dict[int, float]

    @property
    def way(self) -> tuple[str, str, str]:
        """The protocol: batches, clipping and strengths."""
        return self.batches, self.clipping, self.strengths


def train(options: argparse.Namespace, batches: str, clipping: str) -> Path:
    """One protocol's checkpoints, in a folder of their own; returns it."""
    import rpo_bench as rb

    out = options.out / f"{batches}-{clipping}"
    methods = options.methods.split(",")
    rb.train_and_eval(
        "quick",
        task="civil_qa",
        models=options.models.split(","),
        methods=options.methods,
        strengths={name: dense(name) for name in methods},
        kl_budgets=BUDGETS,
        placed=PLACED,
        seeds=[int(seed) for seed in options.seeds.split(",")],
        training={"steps": options.steps, "batches": batches, "clipping": clipping, "probe_every": 0},
        evaluation={"toxicity": "none"},
        output_path=out,
        workers=options.workers,
        judge="none",
    )
    return Path(out)


def dense(name: str) -> list[float]:
    """A method's own ladder, with geometric means in between where strengths are no whole numbers."""
    from rpo_bench.engine.choices import own_strengths
    from rpo_bench.methods import default_method

    method = default_method(name)
    own = own_strengths(method)
    if isinstance(getattr(method, method.strength_name), int):
        return list(own)
    between = [float(f"{(a * b) ** 0.5:.3g}") for a, b in itertools.pairwise(own)]
    return sorted([*own, *between], reverse=own[0] > own[-1])


def coarse(name: str) -> tuple[float, ...]:
    """The ends of a method's own ladder and its middle, as version 0.1's presets took them."""
    from rpo_bench.engine.choices import own_strengths, spread
    from rpo_bench.methods import default_method

    return spread(own_strengths(default_method(name)), COARSE)


def points(out: Path) -> dict[tuple[str, str], list[Point]]:
    """(base model, method) → its checkpoints."""
    from rpo_bench.results.store import read_results

    records = [stored.record for stored in read_results([out / "results"]).records]
    start = {r.spec.model: _mean(r, "reward") for r in records if r.spec.strength is None}
    found: dict[tuple[str, str], list[Point]] = {}
    for record in records:
        spec = record.spec
        if spec.strength is None or record.status == "diverged":
            continue
        point = Point(
            strength=spec.strength,
            seed=spec.seed,
            kl=_mean(record, "kl"),
            gain=_mean(record, "reward") - start[spec.model],
            length=_mean(record, "length"),
            clipped=record.stability.get("clipped_share"),
        )
        found.setdefault((spec.model, spec.method.label), []).append(point)
    return found


def _mean(record: "Record", name: str) -> float:
    value = record.point(name)
    return float("nan") if value is None else value


def gains_by_seed(
    found: Iterable[Point], strengths: Sequence[float] | None, budget: float
) -> dict[int, float]:
    """Seed → the gain at a budget, by straight lines through some strengths; NaN beyond the last.

    Args:
        found: a method's checkpoints.
        strengths: those that are used; None: all.
        budget: nats.
    """
    from rpo_bench.frontier import frontier_points, interpolate

    by_seed: dict[int, list[Point]] = {}
    for point in found:
        if strengths is None or any(np.isclose(point.strength, one) for one in strengths):
            by_seed.setdefault(point.seed, []).append(point)
    result = {}
    for seed, own in sorted(by_seed.items()):
        line = frontier_points(np.array([p.kl for p in own]), np.array([p.gain for p in own]), 0.0)
        result[seed] = float(interpolate(line, np.array([budget]))[0])
    return result


def rows(found: Mapping[tuple[str, str], list[Point]], batches: str, clipping: str) -> Iterator[Gain]:
    """The gains of one protocol's checkpoints."""
    for (model, method), own in sorted(found.items()):
        ladders = {"coarse": coarse(method), "dense": dense(method), "placed": None}
        for (name, strengths), budget in itertools.product(ladders.items(), BUDGETS):
            values = gains_by_seed(own, strengths, budget)
            yield Gain(model, method, batches, clipping, name, budget, values)


def interval(values: Sequence[float]) -> str:
    """Mean ± half the width of Student's 95 % interval over seeds."""
    from rpo_bench.stats.compare import mean_over_seeds

    if not len(values) or np.isnan(values).any():
        return "not reached"
    found = mean_over_seeds(np.array(values))
    if found.point is None or found.high is None:
        return f"{np.mean(values):.3f}"
    return f"{found.point:.3f} ± {found.high - found.point:.3f}"


def gains_table(gains: Sequence[Gain], clipped: Mapping[tuple[str, str, str, str], str]) -> Iterator[str]:
    """Every protocol's gains, as lines of Markdown for each base model."""
    for model in dict.fromkeys(one.model for one in gains):
        yield f"\n### {model}\n\n| method | batches | clipping | strengths | clipped | {_heads()} |"
        yield "|---" * (5 + len(BUDGETS)) + "|"
        mine = sorted((one for one in gains if one.model == model), key=lambda one: one.method)
        for (method, way), cells in itertools.groupby(mine, key=lambda one: (one.method, one.way)):
            texts = " | ".join(interval(list(one.by_seed.values())) for one in cells)
            share = clipped.get((model, method, *way[:2]), "")
            yield f"| {method} | {' | '.join(way)} | {share} | {texts} |"


def changes_table(gains: Sequence[Gain]) -> Iterator[str]:
    """What each change did to whom: differences of gains, paired by seed."""
    known = {(one.model, one.method, one.way, one.budget): one.by_seed for one in gains}
    methods = sorted({one.method for one in gains})
    for model in dict.fromkeys(one.model for one in gains):
        yield f"\n### What changed on {model}\n\n| change | method | {_heads()} |"
        yield "|---" * (2 + len(BUDGETS)) + "|"
        for (name, (before, after)), method in itertools.product(CHANGES.items(), methods):
            keys = [[(model, method, way, budget) for way in (before, after)] for budget in BUDGETS]
            if all(key in known for pair in keys for key in pair):
                pairs = [(known[old], known[new]) for old, new in keys]
                texts = [interval([new[seed] - old[seed] for seed in old]) for old, new in pairs]
                yield f"| {name} | {method} | {' | '.join(texts)} |"


def _heads() -> str:
    return " | ".join(f"KL {budget:g}" for budget in BUDGETS)


def main() -> None:
    """Trains what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints and results are kept")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--models", default="decoder,encoder-decoder")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--workers", type=int, help="processes; as many as cores by default")
    parser.add_argument("--protocols", help="some of them only, such as uniform-none,uniform-relative")
    options = parser.parse_args()
    wanted = None if options.protocols is None else set(options.protocols.split(","))
    gains: list[Gain] = []
    clipped: dict[tuple[str, str, str, str], str] = {}
    for batches, clipping in PROTOCOLS:
        if wanted is not None and f"{batches}-{clipping}" not in wanted:
            continue
        found = points(train(options, batches, clipping))
        gains += rows(found, batches, clipping)
        for (model, method), own in found.items():
            shares = [p.clipped for p in own if p.clipped is not None]
            if shares:
                clipped[model, method, batches, clipping] = f"{np.mean(shares):.0%}".replace("%", " %")
    print("\n".join([*gains_table(gains, clipped), *changes_table(gains)]))
    (options.out / "gains.json").write_text(json.dumps([asdict(one) for one in gains], indent=1) + "\n")


if __name__ == "__main__":
    main()
