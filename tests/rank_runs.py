"""Trainings that tests start in several processes, or in one."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_training import examples, load

from trainers import OnlineMethod, TrainingSettings, World, fit, fit_online
from trainers.fitting_rounds import fit_rounds
from trainers.inputs import TokenLayout
from trainers.memory import OutOfMemoryError
from trainers.ranks import Ranks

PROMPTS = [[5, 6, 7], [8], [9, 10], [11], [12, 13, 14, 15], [16, 17]]


class StoppedError(Exception):
    """The training stops here, as if it had been killed."""


def distinct(_: Any, responses: Any) -> list[float]:
    """A reward that differs between most responses."""
    return [len(set(one)) + one[0] / 50 for one in responses]


def train(
    ranks: Ranks,
    method: Any,
    folder: Path,
    out: Path,
    settings: TrainingSettings,
    stop_at: int | None = None,
) -> None:
    """One training; it stops before the end at a step, if asked to."""
    model = load(folder)

    def progress(step: int, _: Mapping[str, float]) -> None:
        if step == stop_at:
            raise StoppedError

    def probe(model: Any) -> dict[str, float]:
        return {"probe_weight": float(model.get_input_embeddings().weight.detach().float().norm())}

    more = {"probe": probe, "progress": progress, "ranks": ranks}
    world = World(PROMPTS, distinct, 1, 6, TokenLayout.of(model))
    if isinstance(method, OnlineMethod):
        fit_online(method, model, world, settings, out, **more)
    elif method.rounds:
        fit_rounds(method, model, world, settings, out, **more)
    else:
        fit(method, model, examples(), settings, out, **more)


def train_all(ranks: Ranks, runs: list[tuple[Any, ...]], resume: bool, _: Any = None) -> None:
    """Several trainings, one after the other, each stopped in the middle and resumed if asked to."""
    for run in runs:
        if resume:
            try:
                train(ranks, *run, stop_at=3)
            except StoppedError:
                ranks.every(None)
        train(ranks, *run)


def killed(ranks: Ranks, run: tuple[Any, ...], _: Any = None) -> None:
    """A training whose second process is killed once a checkpoint exists."""
    try:
        train(ranks, *run, stop_at=None if ranks.first else 3)
    except StoppedError:
        os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory(ranks: Ranks, run: tuple[Any, ...], room: int, _: Any = None) -> None:
    """A training in which passes of more rows than there is room for fail in the last process."""
    import torch

    import trainers.offline_step as module

    own = module.row_logps

    def limited(model: Any, prompts: Any, *rest: Any) -> Any:
        if (ranks.rank == ranks.count - 1) and torch.is_grad_enabled() and len(prompts) > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return own(model, prompts, *rest)

    module.row_logps = limited
    train(ranks, *run)


def fails(ranks: Ranks, error: Exception, _: Any = None) -> None:
    """The second process fails while the first waits for it."""
    if not ranks.first:
        raise error
    ranks.every(None)


def fits_below(ranks: Ranks, work: Any, room: int, _: Any) -> int:
    """The micro-batch of a cell, for which memory runs out in the second process above so many rows."""
    rows = work.spec.training.micro_batch_size or work.spec.training.batch_size // ranks.count
    if rows > room and not ranks.first:
        raise OutOfMemoryError(rows, 2)
    ranks.every(None)
    return int(rows)


def reference_logps_of(ranks: Ranks, folder: Path, rows: int | None, _: Any = None) -> tuple[Any, list[int]]:
    """Log-probs of the tests' rows under a model, and how many rows its passes had."""
    import trainers.reference as module
    from trainers.layouts import checked_layout
    from trainers.sharding import Spread

    model, own = load(folder), module.sequence_logps
    layout = checked_layout(model, TokenLayout.of(model))
    passes: list[int] = []

    def counted(model: Any, inputs: Any) -> Any:
        passes.append(len(inputs.labels))
        return own(model, inputs)

    module.sequence_logps = counted
    try:
        spread, data = Spread(model, ranks), examples()
        given = (spread.module, data.prompts, data.responses, layout, "float32", ranks, rows)
        return module.compute_logps(*given), passes
    finally:
        module.sequence_logps = own
