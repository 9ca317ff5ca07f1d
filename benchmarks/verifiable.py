"""POPO's claim on the embedded verifiable tasks: the same accuracy from fewer rollouts than GRPO's?

    python benchmarks/verifiable.py [--tasks arithmetic,countdown] [--seeds 3] [--iterations 200] [--out FILE]
    python benchmarks/verifiable.py --tasks countdown --methods "grpo,grpo(prompts=adaptive)"

GRPO, GRPO with filtered groups (DAPO's dynamic sampling), POPO, and POPO whose replay counts as on-policy:
from the same reference policy, on the same prompts, with the same learning rate and KL coefficient. An
iteration has a fixed number of rollouts to learn from; filtering draws more for it, and every rollout counts.
Accuracy is on the held-out prompts, followed at fixed iterations and measured with more samples at the end;
time is of the processor, probes left out, on one thread. --methods takes others, with options. With --out
every finished run is kept, and runs that are there are not done again.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from verifiable_runs import Run, Setup, in_a_line, load, points, save, table

from rpo_bench.data.convert import prompts_of
from rpo_bench.engine.stages.rollouts import make_world
from rpo_bench.errors import UserError
from rpo_bench.methods.registry import resolve_method
from rpo_bench.metrics.accuracy import pass_at_k
from rpo_bench.models.hf import HFModel
from rpo_bench.models.quiet import quiet
from rpo_bench.spec.parsing import parse_methods
from rpo_bench.spec.sections import Decoding, MethodSpec
from rpo_bench.tasks.task import Task, load_task
from trainers.fitting_online import fit_online
from trainers.online import OnlineMethod
from trainers.settings import TrainingSettings
from trainers.training_log import read_training_log

METHODS = ("grpo", "grpo-filtered", "popo", "popo-on-policy")
_FINAL_SAMPLES = 16  # per held-out prompt, at the end
_CURVE_SAMPLES = 2  # per held-out prompt, on the way
_SAMPLING_BATCH = 512


def main() -> None:
    """Reads the flags, does the runs that are missing, prints the tables."""
    given = _flags()
    torch.set_num_threads(1)
    setup = Setup(
        given.model, given.iterations, given.rollouts, given.every, given.learning_rate, given.kl_coef
    )
    done = load(given.out)
    for task in given.tasks.split(","):
        for seed in range(given.seeds):
            for method in parse_methods(given.methods):
                if any(run.key == (task, method.label, seed, setup) for run in done):
                    continue
                done.append(train(load_task(task), method, seed, setup))
                save(given.out, done)
                print(in_a_line(done[-1]), flush=True)
    for task in given.tasks.split(","):
        chosen = [run for run in done if run.task == task and run.setup == setup and run.seed < given.seeds]
        print("\n" + "\n".join(table(task, chosen, given.thresholds)))


def train(task: Task, method: MethodSpec, seed: int, setup: Setup) -> Run:
    """Trains one policy and follows it on the held-out prompts."""
    folder = task.model_folder(setup.model)
    if folder is None:
        raise UserError(f"Task '{task.spec.name}' has no base model '{setup.model}'.")
    with quiet(), tempfile.TemporaryDirectory(prefix="rpo-bench-verifiable-") as scratch:
        base = HFModel.load(folder, device="cpu")
        assert task.reward is not None
        rows = task.train_rows("on_policy", setup.model)
        world = make_world(base, prompts_of(rows), task.reward, task.spec.max_new_tokens)
        settings = TrainingSettings(
            steps=setup.iterations,
            batch_size=setup.rollouts,
            learning_rate=setup.learning_rate,
            warmup_steps=10,
            dtype="float32",
            probe_every=setup.every,
            seed=seed,
        )
        chosen = resolve_method(method, setup.kl_coef)
        assert isinstance(chosen, OnlineMethod)
        clock = Clock()

        def probe(model: Any) -> dict[str, float]:
            with clock.paused() as seconds:
                verdicts = _verdicts(task, replace(base, model=model), _CURVE_SAMPLES, seed=1)
                return {"probe_reward": float(verdicts.mean()), "cpu_seconds": seconds}

        result = fit_online(
            chosen, base.model, world, settings, Path(scratch), tokenizer=base.tokenizer, probe=probe
        )
        log = read_training_log(Path(scratch) / "train_log.jsonl")
        final = _verdicts(task, base, _FINAL_SAMPLES, seed=2)
    return Run(
        task.spec.name,
        method.label,
        seed,
        setup,
        result.status,
        tuple(points(log)),
        float(final.mean()),
        float(pass_at_k(final, 8).mean()),
        float(np.mean([entry["kl"] for entry in log[-10:] if entry.get("kl") is not None])),
    )


class Clock:
    """Processor time of this process since the clock was made, pauses left out."""

    def __init__(self) -> None:
        self._begun = time.process_time()

    @contextmanager
    def paused(self) -> Iterator[float]:
        """A stretch that doesn't count; gives the seconds before it."""
        before = time.process_time() - self._begun
        yield before
        self._begun = time.process_time() - before


def _verdicts(task: Task, model: HFModel, samples: int, seed: int) -> Any:
    """1 or 0 for each sample on the held-out prompts; (P, n)."""
    decoding = Decoding(max_new_tokens=task.spec.max_new_tokens)
    drawn = model.generate(task.heldout, samples, decoding, seed, _SAMPLING_BATCH)
    prompts = [prompt for prompt in task.heldout for _ in range(samples)]
    assert task.reward is not None
    scores = task.reward(prompts, [sample.text for sample in drawn])
    return np.array(scores, dtype=np.float64).reshape(len(task.heldout), samples)


def _flags() -> argparse.Namespace:
    shared = Setup()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", default="arithmetic,countdown")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--model", default=shared.model)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=shared.iterations)
    parser.add_argument("--rollouts", type=int, default=shared.rollouts, help="per iteration")
    parser.add_argument("--every", type=int, default=shared.every, help="iterations between points")
    parser.add_argument("--learning-rate", type=float, default=shared.learning_rate)
    parser.add_argument("--kl-coef", type=float, default=shared.kl_coef)
    parser.add_argument(
        "--thresholds", type=lambda s: [float(x) for x in s.split(",")], default=[0.7, 0.8, 0.9]
    )
    parser.add_argument("--out", type=Path, default=None, help="JSON of the runs; read again to go on")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
