"""Memory of a model that two processes train, against one process: what each keeps, as ratios.

    python benchmarks/sharded.py [--size 30M] [--out FILE]

Both sides train random weights of a size (benchmarks/sizes.py) on random words by the same method for two
steps: one process, then two that shard the model by FSDP2 over gloo. Counted are the bytes of the weights
that train and of their optimiser states, a value network's or critic's among them ("kept"); and the memory
that a process has resident after the last step beyond what it had before it read the model.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from measuring import resident_bytes
from sizes import SIZES, build

_METHODS = ("dpo", "dro", "ppo")


def train(ranks: Any, name: str, folder: Path, out: Path, _: Any = None) -> list[dict[str, float]]:
    """Two steps in each process; returns what each kept."""
    import numpy as np
    import torch
    from torch.distributed.tensor import DTensor
    from torch.optim.optimizer import register_optimizer_step_post_hook
    from transformers import AutoModelForCausalLM

    from trainers import DPO, DRO, PPO, Examples, TrainingSettings, World, fit, fit_online
    from trainers.inputs import TokenLayout

    kept: dict[int, int] = {}
    resident: list[float] = []
    baseline = resident_bytes()

    def local(tensor: torch.Tensor) -> int:
        own = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        return int(own.numel() * own.element_size())

    def count(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        states = [v for state in optimiser.state.values() for v in state.values() if torch.is_tensor(v)]
        kept[id(optimiser)] = sum(map(local, [*weights, *states]))
        resident.append(resident_bytes() - baseline)

    register_optimizer_step_post_hook(count)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(2, 500, 24).tolist() for _ in range(8)]
    settings = TrainingSettings(steps=2, batch_size=16, warmup_steps=0, learning_rate=1e-5)
    if name == "ppo":
        world = World(prompts, lambda _, said: [float(one[0]) for one in said], 1, 8, TokenLayout.of(model))
        fit_online(PPO(group_size=2), model, world, settings, out, ranks=ranks)
    else:
        said = [rng.integers(2, 500, 24).tolist() for _ in range(32)]
        asked = [prompt for prompt in prompts for _ in range(4)]
        rows = Examples(asked, said, rng.normal(size=32), np.repeat(np.arange(8), 4))
        fit(DPO() if name == "dpo" else DRO(), model, rows, settings, out, ranks=ranks)
    return list(ranks.every({"kept": sum(kept.values()), "resident": resident[-1]}))


def main() -> None:
    """Runs both sides for each method and prints the ratios."""
    import sharded  # by its own name, so that processes can import what they run

    from rpo_bench.engine.pool.rank_process import RankPlan
    from rpo_bench.engine.pool.ranks import run_ranks

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", default="30M", choices=SIZES)
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        build(SIZES[flags.size], folder)
        for name in _METHODS:
            sides = {
                count: run_ranks(
                    sharded.train, (name, folder, Path(place, f"{name}{count}")), RankPlan(count, count > 1)
                )
                for count in (1, 2)
            }
            (one,), two = sides[1], sides[2]
            found[name] = {
                "one": one,
                "two": two,
                "kept_ratio": round(max(each["kept"] for each in two) / one["kept"], 4),
                "resident_ratio": round(max(each["resident"] for each in two) / one["resident"], 4),
            }
            print(name, json.dumps(found[name]), flush=True)
    if flags.out is not None:
        flags.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
