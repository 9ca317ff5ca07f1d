"""A GRPO step against TRL's GRPOTrainer: steps per second and peak memory, as ratios within one run.

    python benchmarks/grpo_vs_trl.py [--steps 20] [--repeats 3] [--out FILE]

Both sides train civil_qa's own decoder on the same prompts by its gold reward: 64 rollouts per step in groups
of 8, at most 64 tokens, temperature 1, the same learning rate, KL coefficient, loss ("grpo", rewards scaled
by the group's deviation) and number format, one optimiser step per batch of rollouts, in processes of their
own, in turns, on one thread. TRL generates by transformers' own ``generate``. The rate is that of the steps
after the first few; ``generating`` is the share of our step spent sampling.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import Figures, child_process, in_turns, resident_bytes, summary

GROUP, ROLLOUTS, NEW_TOKENS, LEARNING_RATE, KL_COEF = 8, 64, 64, 2e-4, 0.05


def run_ours(steps: int) -> Figures:
    """Trains by our online engine."""
    from rpo_bench.data.convert import prompts_of
    from rpo_bench.engine.stages.rollouts import make_world
    from rpo_bench.models.hf import HFModel
    from rpo_bench.tasks.task import known_task
    from trainers import TrainingSettings
    from trainers.fitting_online import fit_online
    from trainers.grpo import GRPO

    task = known_task("civil_qa")
    base = HFModel.load(task.folder / task.spec.models["decoder"])
    assert task.reward is not None
    world = make_world(base, prompts_of(task.train_rows("on_policy", "decoder")), task.reward, NEW_TOKENS)
    marks: list[float] = []
    shares: list[float] = []

    def progress(step: int, record: dict[str, Any]) -> None:
        marks.append(time.perf_counter())
        shares.append(record["generation_share"])

    baseline = resident_bytes()
    started = time.perf_counter()
    settings = TrainingSettings(
        steps=steps, batch_size=ROLLOUTS, learning_rate=LEARNING_RATE, warmup_steps=0, dtype="float32"
    )
    with tempfile.TemporaryDirectory() as out:
        method = GRPO(kl_coef=KL_COEF, group_size=GROUP)
        result = fit_online(method, base.model, world, settings, Path(out), progress=progress)
    return summary(marks, time.perf_counter() - started, baseline) | {
        "generating": sum(shares) / len(shares),
        "tokens_per_rollout": result.tokens / result.rollouts,
    }


def run_trl(steps: int) -> Figures:
    """Trains by TRL's trainer with the same reward."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from rpo_bench.data.convert import prompts_of
    from rpo_bench.tasks.task import known_task

    task = known_task("civil_qa")
    asked = {prompt.text: prompt for prompt in prompts_of(task.train_rows("on_policy", "decoder"))}
    marks: list[float] = []
    lengths: list[int] = []

    class Clock(TrainerCallback):
        """Notes when each step ends."""

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    def reward(
        prompts: list[str], completions: list[str], completion_ids: list[list[int]], **kwargs: Any
    ) -> Any:
        assert task.reward is not None
        lengths.extend(map(len, completion_ids))
        return task.reward([asked[text] for text in prompts], completions)

    folder = task.folder / task.spec.models["decoder"]
    baseline = resident_bytes()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder),
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=out,
                per_device_train_batch_size=ROLLOUTS,
                num_generations=GROUP,
                max_completion_length=NEW_TOKENS,
                max_steps=steps,
                learning_rate=LEARNING_RATE,
                beta=KL_COEF,
                loss_type="grpo",
                temperature=1.0,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=Dataset.from_list([{"prompt": text} for text in asked]),
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[Clock()],
        )
        trainer.train()
    return summary(marks, time.perf_counter() - started, baseline) | {
        "tokens_per_rollout": sum(lengths) / len(lengths)
    }


def report(found: dict[str, Figures]) -> None:
    """Prints both sides and the ratios."""
    for side, figures in found.items():
        told = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
        print(f"{side:5} {told}")
    ours, trl = found["ours"], found["trl"]
    print(
        f"ours is {ours['steps_per_s'] / trl['steps_per_s']:.2f} × TRL's steps per second, "
        f"{ours['peak_mb'] / trl['peak_mb']:.2f} × its memory; "
        f"{100 * ours['generating']:.0f} % of our step is generation"
    )


def main() -> None:
    """Runs both sides in turns and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        import torch

        torch.set_num_threads(1)
        side, steps = options.child
        print(json.dumps({"ours": run_ours, "trl": run_trl}[side](int(steps))))
        return
    found = in_turns(
        ["ours", "trl"], options.repeats, lambda side: child_process(__file__, [side, str(options.steps)])
    )
    report(found)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
