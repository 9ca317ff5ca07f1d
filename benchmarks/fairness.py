"""What the harness does to whom: batches × clipping × strengths, as gains over the reference at equal KL.

    python benchmarks/fairness.py --out runs/fairness [--methods rpo,dro,una] [--models decoder] [--seeds 0,1]

Trains every method by each protocol (how batches are drawn, how gradients are clipped) along a dense ladder
of strengths, and reads each method's reward at some KL budgets from straight lines through all of its
strengths, or through the three that version 0.1 ran. What is done is kept: run again, it goes on. Intervals
are Student's over training seeds; differences between protocols are paired by seed. docs/protocol.md has the
table.
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
    """A method's gain at a KL budget by one protocol; None where a seed doesn't reach the budget."""

    model: str
    method: str
    batches: str
    clipping: str
    strengths: str
    budget: float
    gain: float | None
    half_width: float | None
    seeds: int


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


def gains_by_seed(found: Iterable[Point], strengths: Sequence[float], budget: float) -> dict[int, float]:
    """Seed → the gain at a budget, by straight lines through some strengths; NaN beyond the last."""
    from rpo_bench.frontier import frontier_points, interpolate

    by_seed: dict[int, list[Point]] = {}
    for point in found:
        if any(np.isclose(point.strength, one) for one in strengths):
            by_seed.setdefault(point.seed, []).append(point)
    result = {}
    for seed, own in sorted(by_seed.items()):
        line = frontier_points(np.array([p.kl for p in own]), np.array([p.gain for p in own]), 0.0)
        result[seed] = float(interpolate(line, np.array([budget]))[0])
    return result


def student(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and half the width of Student's 95 % interval over seeds, None where there is none."""
    from rpo_bench.stats.compare import mean_over_seeds

    found = mean_over_seeds(np.array(values))
    if found.point is None or found.high is None:
        return found.point, None
    return found.point, found.high - found.point


def rows(found: Mapping[tuple[str, str], list[Point]], batches: str, clipping: str) -> Iterator[Gain]:
    """The gains of one protocol's checkpoints."""
    for (model, method), own in sorted(found.items()):
        ladders = {"coarse": coarse(method), "dense": dense(method)}
        for (name, strengths), budget in itertools.product(ladders.items(), BUDGETS):
            values = list(gains_by_seed(own, strengths, budget).values())
            known = bool(values) and not np.isnan(values).any()
            mean, width = student(values) if known else (None, None)
            yield Gain(model, method, batches, clipping, name, budget, mean, width, len(values))


def report(gains: Sequence[Gain], clipped: Mapping[tuple[str, str, str, str], str]) -> None:
    """Prints a Markdown table for each base model."""
    for model in dict.fromkeys(one.model for one in gains):
        print(f"\n### {model}\n\n| batches | clipping | strengths | method | clipped |", end="")
        print(" | ".join(f" KL {budget:g}" for budget in BUDGETS), "|\n|---|---|---|---|---|---|---|---|")
        mine = [one for one in gains if one.model == model]
        for (batches, clipping, strengths, method), cells in itertools.groupby(
            mine, key=lambda one: (one.batches, one.clipping, one.strengths, one.method)
        ):
            texts = [_text(one) for one in cells]
            share = clipped.get((model, method, batches, clipping), "")
            print(f"| {batches} | {clipping} | {strengths} | {method} | {share} | {' | '.join(texts)} |")


def _text(one: Gain) -> str:
    if one.gain is None:
        return "not reached"
    return f"{one.gain:.3f}" + ("" if one.half_width is None else f" ± {one.half_width:.3f}")


def main() -> None:
    """Trains what is missing and prints the table."""
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
    report(gains, clipped)
    (options.out / "gains.json").write_text(json.dumps([asdict(one) for one in gains], indent=1) + "\n")


if __name__ == "__main__":
    main()
