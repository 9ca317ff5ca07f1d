"""The checkpoints behind ``fairness.py``: what is trained, and one line of a CSV file for each.

    python benchmarks/fairness_runs.py --out runs/fairness [--points FILE] [--methods rpo,dro] [--seeds 0,1,2]

Methods are trained by each protocol (how batches are drawn, how gradients are clipped), first along their own
ladder of strengths, then at strengths placed near the KL budgets. A checkpoint whose line is in the file
isn't trained again, so that the work may be spread over days and machines. Where relative clipping clipped no
step, training without clipping gives the same checkpoint to the bit (tests/benchmarks/test_fairness.py); its
line is then a copy.
"""

import argparse
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from points import add_lines, estimate, read_lines

if TYPE_CHECKING:
    from rpo_bench.engine.search.placing import Ladder
    from rpo_bench.results.schema import Record

#: (batches, clipping): version 0.1's, today's, and what lies between.
PROTOCOLS = (
    ("by_length", "absolute"),
    ("uniform", "relative"),
    ("uniform", "absolute"),
    ("uniform", "none"),
    ("by_length", "relative"),
    ("by_length", "none"),
)
BUDGETS = (0.3, 0.5, 0.75)
PLACED = 4  # strengths beyond a method's own ladder, at most
#: Offline methods.
METHODS = "sft,kto,dro,dro-p,rpo,una,a-star-po,qrpo,dpo,ipo,rebel"
#: A value network's gradients are clipped too, and the log tells the policy's alone.
_TWO_OPTIMISERS = ("dro",)
POINTS = Path(__file__).with_name("fairness.csv")


@dataclass(frozen=True)
class Point:
    """One checkpoint: how it was trained, and where it lies on its method's frontier.

    Attributes:
        batches, clipping: the protocol.
        kl: nats per sequence; NaN where it diverged.
        gain: reward over the reference policy's.
        length: tokens of a response.
        clipped: share of steps clipped.
        commit: of the code that trained it.
    """

    model: str
    batches: str
    clipping: str
    method: str
    strength: float
    seed: int
    kl: float
    gain: float
    length: float
    clipped: float
    commit: str

    @property
    def key(self) -> tuple[str, str, str, str, float, int]:
        """What makes it another checkpoint."""
        return self.model, self.batches, self.clipping, self.method, self.strength, self.seed


def read_points(file: Path) -> list[Point]:
    """The lines of a file; none where there is no file."""
    return read_lines(file, Point)


def add_points(file: Path, more: Iterable[Point]) -> list[Point]:
    """Writes the file with further checkpoints in it, in one order; returns all."""
    return add_lines(file, Point, more, lambda point: point.key)


def own_ladder(name: str) -> tuple[float, ...]:
    """A method's own strengths, most conservative first."""
    from rpo_bench.engine.inputs.choices import own_strengths
    from rpo_bench.methods.registry import default_method

    return own_strengths(default_method(name))


def placed(name: str, points: Sequence[Point]) -> list[float]:
    """Strengths near the budgets, as far as its own ladder isn't there; at most ``PLACED`` of them.

    Args:
        name: of the method.
        points: its checkpoints of all seeds by one protocol.
    """
    from rpo_bench.engine.search.placing import Tried, next_strengths

    own = own_ladder(name)
    kls = {one.strength: [p.kl for p in points if p.strength == one.strength] for one in points}
    means = {
        strength: float(np.nanmean(found)) for strength, found in kls.items() if not np.isnan(found).all()
    }
    tried = [Tried(strength, kl) for strength, kl in means.items()]
    lost = sorted(set(kls) - set(means))
    left = PLACED - len(set(kls) - set(own))
    return next_strengths(tried, lost, BUDGETS, left, _ladder(name)) if left > 0 else []


def _ladder(name: str) -> "Ladder":
    from rpo_bench.engine.search.placing import Ladder
    from rpo_bench.methods.registry import default_method

    method = default_method(name)
    whole = isinstance(getattr(method, method.strength_name), int)
    return Ladder(own_ladder(name), whole=whole, closed=getattr(method, "strength_selects", False))


def unclipped(points: Iterable[Point]) -> list[Point]:
    """The checkpoints that training without clipping gives, where relative clipping clipped nothing."""
    return [
        replace(point, clipping="none")
        for point in points
        if point.clipping == "relative" and point.clipped == 0.0 and point.method not in _TWO_OPTIMISERS
    ]


def train_protocol(options: argparse.Namespace, model: str, batches: str, clipping: str) -> None:
    """All checkpoints of one base model by one protocol that aren't in the file."""
    methods, seeds = options.methods.split(","), [int(seed) for seed in options.seeds.split(",")]
    wanted = {name: set(own_ladder(name)) for name in methods}
    while any(wanted.values()):
        known = add_points(options.points, unclipped(read_points(options.points)))
        mine = [p for p in known if (p.model, p.batches, p.clipping) == (model, batches, clipping)]
        done = {(p.method, p.strength, p.seed) for p in mine}
        # Seeds that lack the same strengths are trained together.
        lacking: dict[tuple[tuple[str, tuple[float, ...]], ...], list[int]] = {}
        for seed in seeds:
            missing = {
                name: tuple(sorted(s for s in strengths if (name, s, seed) not in done))
                for name, strengths in wanted.items()
            }
            lacking.setdefault(tuple((n, s) for n, s in missing.items() if s), []).append(seed)
        for strengths, part in lacking.items():
            if strengths:
                train(options, model, batches, clipping, dict(strengths), part)
        if not any(lacking):
            if not options.placed:
                return
            wanted = {
                name: set(placed(name, [p for p in mine if p.method == name and p.seed in seeds]))
                for name in methods
            }


def train(
    options: argparse.Namespace,
    model: str,
    batches: str,
    clipping: str,
    strengths: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
) -> None:
    """Trains and measures some strengths, and adds them to the file."""
    import rpo_bench as rb

    out = options.out / f"{model}-{batches}-{clipping}"
    rb.train_and_eval(
        "quick",
        task="civil_qa",
        models=[model],
        methods=",".join(strengths),
        strengths={name: list(own) for name, own in strengths.items()},
        seeds=list(seeds),
        training={"steps": 120, "batches": batches, "clipping": clipping, "probe_every": 0},
        evaluation={"toxicity": "none"},
        output_path=out,
        workers=options.workers,
        judge="none",
    )
    harvest(out, options.points)


def harvest(out: Path, file: Path) -> None:
    """Adds the checkpoints of a run's folder to the file, once the reference policy is measured there."""
    from rpo_bench.results.store import read_results

    records = [stored.record for stored in read_results([out / "results"]).records]
    start = {r.spec.model: estimate(r, "reward") for r in records if r.spec.strength is None}
    trained = [r for r in records if r.spec.strength is not None and r.spec.model in start]
    add_points(file, [_point(r, start[r.spec.model]) for r in trained])


def _point(record: "Record", start: float) -> Point:
    spec = record.spec
    assert spec.method is not None
    assert spec.strength is not None
    assert spec.training is not None
    return Point(
        model=spec.model,
        batches=spec.training.batches,
        clipping=spec.training.clipping,
        method=spec.method.label,
        strength=spec.strength,
        seed=spec.seed,
        kl=round(estimate(record, "kl"), 5),
        gain=round(estimate(record, "reward") - start, 5),
        length=round(estimate(record, "length"), 2),
        clipped=round(record.stability.get("clipped_share") or 0.0, 4),
        commit=(record.environment.git_commit or "")[:10],
    )


def parser(description: str) -> argparse.ArgumentParser:
    """The flags that training and tables share."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--points", type=Path, default=POINTS, help="the CSV file of checkpoints")
    found.add_argument("--methods", default=METHODS)
    found.add_argument("--models", default="decoder,encoder-decoder")
    found.add_argument("--seeds", default="0,1,2")
    return found


def training_flags(flags: argparse.ArgumentParser, required: bool) -> None:
    """The flags of training."""
    flags.add_argument("--out", type=Path, required=required, help="where runs are kept")
    flags.add_argument("--workers", type=int, help="processes; as many as cores by default")
    flags.add_argument("--protocols", help="some of them only, such as uniform-none,uniform-relative")
    flags.add_argument("--placed", action=argparse.BooleanOptionalAction, default=True)


def train_missing(options: argparse.Namespace) -> None:
    """Trains the checkpoints that the file lacks."""
    chosen = options.protocols.split(",") if options.protocols else ["-".join(one) for one in PROTOCOLS]
    for out in sorted(options.out.glob("*/results")):  # what an interrupted call has left
        harvest(out.parent, options.points)
    for (batches, clipping), model in itertools.product(PROTOCOLS, options.models.split(",")):
        if f"{batches}-{clipping}" in chosen:
            train_protocol(options, model, batches, clipping)


def main() -> None:
    """Trains what is missing."""
    flags = parser(__doc__.splitlines()[0])
    training_flags(flags, required=True)
    train_missing(flags.parse_args())


if __name__ == "__main__":
    main()
