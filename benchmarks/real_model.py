"""Tokens per CPU second of DPO on a real model and real dialogues, on one thread.

    python benchmarks/real_model.py MODEL_FOLDER PAIRS.jsonl.gz [--lora-rank 8] [--steps 5] [--dtype bfloat16]

The model is a decoder-only folder of transformers, the pairs a file of HH-RLHF (``chosen`` and ``rejected``).
The first two steps don't count. To compare two versions of the trainers, run it at once with ``PYTHONPATH``
at each.
"""

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

_WARM = 2
_LONGEST = 384  # tokens of a prompt and its response
_TURN = "\n\nAssistant:"


def examples_of(file: Path, tokenizer: Any, pairs: int) -> Any:
    """The file's first pairs that share their prompt and aren't long."""
    import numpy as np

    from trainers import Examples

    prompts, responses = [], []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            end = row["chosen"].rfind(_TURN) + len(_TURN)
            prompt, *both = (tokenizer(text).input_ids for text in (row["chosen"][:end], *said(row, end)))
            long = len(prompt) + max(map(len, both)) >= _LONGEST
            if row["rejected"][:end] != row["chosen"][:end] or long or not all(both):
                continue
            prompts += [prompt, prompt]
            responses += [[*response, tokenizer.eos_token_id] for response in both]
            if len(prompts) >= 2 * pairs:
                break
    rewards = np.tile([1.0, 0.0], len(prompts) // 2)
    groups = np.repeat(np.arange(len(prompts) // 2), 2)
    return Examples(prompts, responses, rewards, groups, desirable=rewards > 0)


def said(row: dict[str, str], end: int) -> list[str]:
    """The two responses of a row whose prompt ends there."""
    return [row[side][end:] for side in ("chosen", "rejected")]


def main() -> None:
    """Trains a few steps and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--lora-rank", type=int)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainers import DPO, TrainingSettings, fit
    from trainers.settings import Lora

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    settings = TrainingSettings(
        steps=options.steps,
        batch_size=8,
        learning_rate=1e-6,
        warmup_steps=0,
        dtype=options.dtype,
        lora=None if options.lora_rank is None else Lora(rank=options.lora_rank),
    )
    marks: list[tuple[float, float]] = []
    rows = examples_of(options.pairs, tokenizer, pairs=50)
    with tempfile.TemporaryDirectory() as out:
        done = fit(
            DPO(),
            model,
            rows,
            settings,
            Path(out),
            tokenizer=tokenizer,
            progress=lambda step, record: marks.append((time.process_time(), record["tokens"])),
        )
    (first, before), (last, after) = marks[_WARM - 1], marks[-1]
    rate, size = (after - before) / (last - first), after / options.steps
    peak = done.peak_memory_bytes / 1e9
    print(f"{rate:,.0f} tokens per CPU second, {size:,.0f} a step, {peak:.1f} GB at the peak, {done.dtype}")


if __name__ == "__main__":
    main()
