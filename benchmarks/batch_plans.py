"""What random batches cost: rows per second over those of version 0.1's batches, which were sorted by length.

    python benchmarks/batch_plans.py [--methods sft,kto,dro,rpo,dpo] [--models decoder] [--repeats 3]

Trains civil_qa's base models for 60 steps of 64 rows in one process of one thread, both plans in turn, and
compares the fastest of each. Set-up, the reference's log-probs and measuring aren't counted.
"""

import argparse
import tempfile
from pathlib import Path

STEPS = 60
ROWS = 64


def main() -> None:
    """Measures, and prints a line for each method and base model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--methods", default="sft,kto,dro,rpo,dpo")
    parser.add_argument("--models", default="decoder")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    models = options.models.split(",")
    fastest: dict[tuple[str, str, str], float] = {}
    with tempfile.TemporaryDirectory(prefix="rpo-bench-plans-") as scratch:
        for repeat in range(options.repeats):
            for plan in ("uniform", "by_length"):
                folder = Path(scratch) / f"{plan}-{repeat}"
                for (model, method), seconds in trained(options.methods, models, plan, folder).items():
                    key = (model, method, plan)
                    fastest[key] = min(seconds, fastest.get(key, float("inf")))
    print(table(fastest))


def trained(methods: str, models: list[str], batches: str, folder: Path) -> dict[tuple[str, str], float]:
    """(Base model, method) → seconds of training with batches of a kind."""
    import rpo_bench as rb
    from rpo_bench.results.store import read_results

    rb.train_and_eval(
        "smoke",
        models=models,
        methods=methods,
        n_strengths=1,
        seeds=[0],
        training={"steps": STEPS, "batch_size": ROWS, "batches": batches, "probe_every": 0},
        evaluation={"toxicity": "none", "n_samples": 1, "limit": 8},
        output_path=folder,
        workers=1,
        judge="none",
    )
    records = [stored.record for stored in read_results([folder / "results"]).records]
    return {
        (r.spec.model, r.spec.method.label): r.cost.train_seconds
        for r in records
        if r.spec.strength is not None
    }


def table(fastest: dict[tuple[str, str, str], float]) -> str:
    """Rows per second of both plans and their ratio, as Markdown."""
    lines = ["| base model | method | uniform, rows/s | by length | ratio |", "|---|---|---|---|---|"]
    for model, method in dict.fromkeys(key[:2] for key in fastest):
        new, old = (STEPS * ROWS / fastest[model, method, plan] for plan in ("uniform", "by_length"))
        lines.append(f"| {model} | {method} | {new:.0f} | {old:.0f} | {new / old:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
