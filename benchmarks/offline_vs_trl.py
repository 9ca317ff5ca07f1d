"""Offline training against TRL's trainers: steps per second and peak memory, as ratios within one run.

    python benchmarks/offline_vs_trl.py [--sizes embedded,30M] [--methods kto,dpo] [--sides ours,trl,…]
        [--gradient-checkpointing] [--repeats 3] [--out FILE]

Both sides train the same decoder-only model (random weights) on the same texts by the same method, batch,
number format, learning rate and number of steps, each run in a process of its own, in turns; on one thread,
or on the GPU where there is one. The rate is that of the steps after the first few; TRL is run with its
reference model in every step, as by default, and with its precomputed reference log-probs. TRL has no
encoder-decoder models: T5 sizes have a plain loop beside ours, DPO by transformers' own passes.
``--gradient-checkpointing`` turns it on everywhere, as it is by default in TRL and not in ours.

Of our own engine it also tells the share of computed tokens that are real ones where sequences share rows,
and if every row were padded to the longest; and what an epoch would cost with the reference in every
step instead of its cached log-probs, which all strengths and seeds share; tokens per second; and the share of
the ceiling, which is what large matrix products reach in the same process, at 6 FLOP per parameter and token
(attention, and KTO's forward passes without gradient, left out).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import Figures, child_process, in_turns, matmul_ceiling, resident_bytes, summary
from sizes import SIZES, Size, build

SIDES = ("ours", "trl", "trl-precomputed")
ENCODER_DECODER_SIDES = ("ours", "plain")


def run_ours(method: str, size: Size, folder: Path, dtype: str, recompute: bool) -> Figures:
    """Trains by our engine; reference log-probs are computed once, and timed apart."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    from trainers import DPO, KTO, Examples, TrainingSettings, fit
    from trainers.inputs import TokenLayout
    from trainers.layouts import checked_layout
    from trainers.packing import packing
    from trainers.precision import resolve_dtype
    from trainers.prepare import prepare
    from trainers.reference import ReferenceCache

    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = json.loads((folder / "pairs.json").read_text())
    texts = [(row["prompt"], row[side]) for row in pairs for side in ("chosen", "rejected")]
    rewards = np.tile([1.0, 0.0], len(pairs))
    examples = Examples(
        [tokenizer(prompt).input_ids for prompt, _ in texts],
        [[*tokenizer(response).input_ids, tokenizer.eos_token_id] for _, response in texts],
        rewards,
        np.repeat(np.arange(len(pairs)), 2),
        desirable=rewards > 0,
    )
    kind = AutoModelForSeq2SeqLM if size.encoder_decoder else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32)
    marks: list[float] = []
    baseline = resident_bytes()
    started = time.perf_counter()
    settings = TrainingSettings(
        steps=size.steps,
        batch_size=size.batch,
        learning_rate=1e-5,
        warmup_steps=0,
        dtype=dtype,
        gradient_checkpointing=recompute,
    )
    cache, chosen = ReferenceCache(), DPO() if method == "dpo" else KTO()
    layout = checked_layout(model, TokenLayout.of(model, tokenizer.pad_token_id))
    data = prepare(chosen, model, examples, settings, cache, layout, resolve_dtype(dtype, model))
    reference = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as out:
        fit(
            chosen,
            model,
            examples,
            settings,
            Path(out),
            cache=cache,
            progress=lambda step, record: marks.append(time.perf_counter()),
        )
    total = time.perf_counter() - started
    parameters = sum(p.numel() for p in model.parameters())
    flops = 6 * parameters * float(examples.lengths.mean()) * size.batch  # forward and backward, no attention
    batches = examples.lengths[data.units[data.plan.batches]].reshape(size.steps, -1)  # (S, rows)
    shared = [packing(row, np.zeros_like(row), layout) for row in batches] if not size.encoder_decoder else []
    computed = sum(len(one.rows) * one.widths[0] for one in shared)
    figures = summary(marks, total, baseline)
    ceiling = matmul_ceiling(dtype)
    return figures | {
        "tokens_per_s": figures["steps_per_s"] * float(examples.lengths.mean()) * size.batch,
        "tflop_per_step": flops / 1e12,
        "ceiling_tflop_per_s": ceiling,
        "share_of_ceiling": flops / 1e12 * figures["steps_per_s"] / ceiling,
        "reference_s": reference,
        "uncached_ratio": total / (total - reference),
        "tokens_used": float(batches.sum() / computed) if computed else float("nan"),
        "tokens_used_padded_to_maximum": float(batches.mean() / examples.lengths.max()),
    }


def run_plain(size: Size, folder: Path, recompute: bool) -> Figures:
    """Trains an encoder-decoder by DPO as a plain loop does: transformers' logits, policy and reference."""
    import torch
    from torch import Tensor
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = json.loads((folder / "pairs.json").read_text())
    model, reference = (AutoModelForSeq2SeqLM.from_pretrained(folder, dropout_rate=0.0) for _ in range(2))
    if recompute:
        model.gradient_checkpointing_enable()
        model.train()  # it recomputes in training mode alone
    baseline, started = resident_bytes(), time.perf_counter()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def logps(policy: Any, rows: list[tuple[str, str]]) -> Tensor:
        prompts, responses = (tokenizer([row[i] for row in rows], padding=True) for i in range(2))
        labels = torch.tensor(responses.input_ids)
        ids, mask = torch.tensor(prompts.input_ids), torch.tensor(prompts.attention_mask)
        logits = policy(input_ids=ids, attention_mask=mask, labels=labels).logits
        found = logits.log_softmax(-1).gather(2, labels[..., None])[..., 0]
        summed: Tensor = (found * torch.tensor(responses.attention_mask)).sum(1)
        return summed

    marks: list[float] = []
    half = size.batch // 2
    for step in range(size.steps):
        batch = pairs[step * half : (step + 1) * half]
        rows = [(row["prompt"], row[side]) for side in ("chosen", "rejected") for row in batch]
        with torch.no_grad():
            expected = logps(reference, rows)
        chosen, rejected = (logps(model, rows) - expected).chunk(2)
        (-torch.nn.functional.logsigmoid(0.1 * (chosen - rejected))).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        marks.append(time.perf_counter())
    return summary(marks, time.perf_counter() - started, baseline)


def run_trl(method: str, size: Size, folder: Path, dtype: str, recompute: bool, precompute: bool) -> Figures:
    """Trains by TRL's trainer on the same texts."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    pairs = json.loads((folder / "pairs.json").read_text())
    marks: list[float] = []

    class Clock(TrainerCallback):
        """Notes when each step ends."""

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    unpaired = [
        {"prompt": row["prompt"], "completion": " " + row[side], "label": side == "chosen"}
        for row in pairs
        for side in ("chosen", "rejected")
    ]
    paired = [
        {"prompt": row["prompt"], "chosen": " " + row["chosen"], "rejected": " " + row["rejected"]}
        for row in pairs
    ]
    config, trainer_class = (DPOConfig, DPOTrainer) if method == "dpo" else (KTOConfig, KTOTrainer)
    model, reference = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(2))
    baseline = resident_bytes()
    started = time.perf_counter()
    arguments = config(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=size.batch // 2 if method == "dpo" else size.batch,
        max_steps=size.steps,
        learning_rate=1e-5,
        use_cpu=not torch.cuda.is_available(),
        bf16=dtype == "bfloat16",
        precompute_ref_log_probs=precompute,
        gradient_checkpointing=recompute,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = trainer_class(
        model=model,
        ref_model=None if precompute else reference,
        args=arguments,
        train_dataset=Dataset.from_list(paired if method == "dpo" else unpaired),
        processing_class=AutoTokenizer.from_pretrained(folder),
        callbacks=[Clock()],
    )
    trainer.train()
    return summary(marks, time.perf_counter() - started, baseline)


def child(side: str, method: str, size: str, folder: str, dtype: str, recompute: str) -> None:
    """What a measuring process does."""
    import torch

    torch.set_num_threads(1)
    recomputes = recompute == "recompute"
    if side == "ours":
        result = run_ours(method, SIZES[size], Path(folder), dtype, recomputes)
    elif side == "plain":
        result = run_plain(SIZES[size], Path(folder), recomputes)
    else:
        result = run_trl(method, SIZES[size], Path(folder), dtype, recomputes, side == "trl-precomputed")
    print(json.dumps(result))


def main() -> None:
    """Runs all combinations in turns and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="embedded,30M", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--methods", default="kto,dpo")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--sides", default=",".join(dict.fromkeys(SIDES + ENCODER_DECODER_SIDES)))
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for size in options.sizes.split(","):
            folder = Path(root) / size
            build(SIZES[size], folder)
            for method in options.methods.split(","):
                known = ENCODER_DECODER_SIDES if SIZES[size].encoder_decoder else SIDES
                sides = [side for side in known if side in options.sides.split(",")]
                more = [options.dtype, "recompute" if options.gradient_checkpointing else "keep"]

                def run(side: str, given: tuple[str, ...] = (method, size, str(folder), *more)) -> Figures:
                    return child_process(__file__, [side, *given])

                rows.extend(table_rows(method, size, in_turns(sides, options.repeats, run)))
    report(rows)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


def table_rows(method: str, size: str, medians: dict[str, Figures]) -> list[dict[str, Any]]:
    """The figures of each side, and its ratio to ours."""
    ours = medians["ours"]
    return [
        {
            "method": method,
            "size": size,
            "side": side,
            **{name: round(value, 3) for name, value in found.items()},
            "our_speed_ratio": round(ours["steps_per_s"] / found["steps_per_s"], 2),
            "our_total_time_ratio": round(found["total_s"] / ours["total_s"], 2),
            "our_memory_ratio": round(ours["peak_mb"] / found["peak_mb"], 2),
        }
        for side, found in medians.items()
    ]


def report(rows: list[dict[str, Any]]) -> None:
    """Prints the table."""
    names = ("steps/s", "total s", "peak MB", "ours ×", "mem ×")
    print(f"{'method':7}{'size':10}{'side':17}" + "".join(f"{name:>9}" for name in names))
    for row in rows:
        print(
            f"{row['method']:7}{row['size']:10}{row['side']:17}{row['steps_per_s']:9.2f}{row['total_s']:9.1f}"
            f"{row['peak_mb']:9.0f}{row['our_speed_ratio']:9.2f}{row['our_memory_ratio']:9.2f}"
        )
    for row in rows:
        if row["side"] == "ours":
            print(
                f"{row['method']} {row['size']}: {row['tokens_used']:.2f} of the computed tokens are real "
                f"({row['tokens_used_padded_to_maximum']:.2f} if all were padded to the longest); an epoch "
                f"with the reference in every step takes {row['uncached_ratio']:.2f} × as long; "
                f"{row['tokens_per_s']:,.0f} tokens/s, {row['share_of_ceiling']:.0%} of "
                f"{row['ceiling_tflop_per_s']:.2f} TFLOP/s of matrix products"
            )


if __name__ == "__main__":
    main()
