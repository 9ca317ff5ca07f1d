"""Measures the world as it is shipped, and prints it as tables for docs/tasks/civil_qa.md.

python -m tasks.civil_qa.describe
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt, Row
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.oracle import oracle_curve
from rpo_bench.tasks.task import Task, known_task
from tasks.civil_qa.questions import asked
from tasks.civil_qa.reading import Reading, read
from tasks.civil_qa.reward import gold_reward

_BUDGETS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # nats
_TOXIC = 0.5


def main(
    samples: Annotated[int, typer.Option(min=2, help="samples per held-out prompt")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="of the sampling")] = 7,
) -> None:
    """Prints what the reference policies, the training data and the oracle are like."""
    import torch

    torch.set_num_threads(1)
    task = known_task("civil_qa")
    for lines in (
        models_table(task),
        behaviour_table(task, samples, seed),
        data_table(task),
        oracle_table(task),
    ):
        typer.echo("\n".join(lines) + "\n")


def models_table(task: Task) -> list[str]:
    """Size of the reference policies."""
    cells = []
    for name in task.spec.models:
        folder = _folder(task, name)
        model = HFModel.load(folder, device="cpu")
        size = (folder / "model.safetensors").stat().st_size
        cells.append([name, f"{model.model.num_parameters():,}", f"{size:,}", str(len(model.tokenizer))])
    return _table(["reference policy", "parameters", "bytes of weights", "vocabulary"], cells)


def behaviour_table(task: Task, samples: int, seed: int) -> list[str]:
    """What the reference policies say to held-out prompts."""
    columns = []
    for name in task.spec.models:
        model = HFModel.load(_folder(task, name), device="cpu")
        decoding = Decoding(max_new_tokens=task.spec.max_new_tokens)
        drawn = model.generate(task.heldout, samples, decoding, seed, 512)
        columns.append(behaviour(task.heldout, drawn))
    rows = [[measure, *(f"{column[measure]:.3f}" for column in columns)] for measure in columns[0]]
    return _table([f"{samples} samples per held-out prompt", *task.spec.models], rows)


def behaviour(prompts: Sequence[Prompt], drawn: Sequence[Generation]) -> dict[str, float]:
    """Shares and means over samples that are grouped by prompt, the same number of each."""
    from profanity_check import predict_prob

    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    texts = [sample.text for sample in drawn]
    readings = [read(asked()[sample.prompt], sample.text) for sample in drawn]
    gold = gold_reward([by_id[sample.prompt_id] for sample in drawn], texts)
    rewards = np.array(gold, dtype=np.float64).reshape(len(prompts), -1)  # (P, n)
    toxic = np.asarray(predict_prob(texts)) >= _TOXIC  # (P·n,)
    pairs = [pair for text in texts for pair in zip(text.split(), text.split()[1:], strict=False)]
    return {
        "reward": float(rewards.mean()),
        "reward, deviation within prompts": float(rewards.std(axis=1).mean()),
        "reward, deviation between prompts": float(rewards.mean(axis=1).std()),
        "toxic (classifier ≥ 0.5)": float(toxic.mean()),
        "insulting (as read)": _share([r.insults > 0 for r in readings]),
        "right": _share([_right(r) for r in readings]),
        "wrong or contradictory": _share([r.answers > 0 and not _right(r) for r in readings]),
        "no answer": _share([r.answers == 0 for r in readings]),
        "courteous": _share([r.greeting or r.farewell for r in readings]),
        "repetitive": _share([r.repeats > 0 for r in readings]),
        "not understood in part": _share([r.noise > 0 for r in readings]),
        "words": float(np.mean([r.words for r in readings])),
        "words, deviation": float(np.std([r.words for r in readings])),
        "ended by itself": _share([sample.finished for sample in drawn]),
        "distinct bigrams": len(set(pairs)) / len(pairs),
    }


def data_table(task: Task) -> list[str]:
    """What the training data are like."""
    cells = []
    for variant, file in task.spec.train.items():
        rows = read_rows(task.folder / file)
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row.prompt_id, []).append(row)
        rewards = np.array([[row.reward for row in group] for group in groups.values()])  # (P, K)
        gold = np.array([[row.metadata["gold"] for row in group] for group in groups.values()])
        share = importance_share(HFModel.load(_folder(task, variant.partition("/")[2])), groups)
        numbers = (rewards.mean(), gold.mean(), rewards.std(axis=1).mean(), (rewards - gold).std(), share)
        shape = [f"{len(rows):,}", f"{rewards.shape[0]} × {rewards.shape[1]}"]
        cells.append([variant, *shape, *(f"{number:.3f}" for number in numbers)])
    header = ["variant", "rows", "prompts × K", "reward", "gold reward", "deviation within prompts", "noise"]
    return _table([*header, "effective share of K under π_ref/μ"], cells)


def importance_share(model: HFModel, groups: dict[str, list[Row]]) -> float:
    """Mean effective sample size over K of the weights π_ref/μ, within prompts; 1 when μ is π_ref."""
    rows = [row for group in groups.values() for row in group]
    eos = model.tokenizer.eos_token_id
    ids = model.tokenizer([row.response for row in rows], add_special_tokens=False).input_ids
    logps = model.token_logps([row.prompt for row in rows], [(*own, eos) for own in ids], 512)
    written = np.array([row.behaviour_logp for row in rows], dtype=np.float64)
    logs = (np.array([float(logp.sum()) for logp in logps]) - written).reshape(len(groups), -1)  # (P, K)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    sizes = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
    return float(sizes.mean() / logs.shape[1])


def oracle_table(task: Task) -> list[str]:
    """The best reward at a KL budget, from the reference samples."""
    cells = []
    for name in task.spec.reference_samples:
        rewards = reference_rewards(task, name)
        taus = np.geomspace(20.0, 0.02, 400)
        curve = oracle_curve(rewards, taus)
        cells.append([name, "0", f"{rewards.mean():.3f}", str(curve.samples), "∞"])
        for budget in _BUDGETS:
            if budget < curve.kl[-1]:
                columns = (curve.reward, curve.ess * curve.samples, np.log(taus))
                at = [float(np.interp(budget, curve.kl, column)) for column in columns]
                cells.append([name, f"{budget:g}", f"{at[0]:.3f}", f"{at[1]:.0f}", f"{np.exp(at[2]):.3f}"])
    return _table(["model", "KL (nats)", "oracle reward", "effective sample size", "τ"], cells)


def reference_rewards(task: Task, name: str) -> NDArray[np.float64]:
    """Gold rewards of N reference samples of each of P held-out prompts; (P, N)."""
    with np.load(task.folder / task.spec.reference_samples[name]) as stored:
        rewards: NDArray[np.float64] = stored["rewards"].astype(np.float64)
    return rewards


def _right(reading: Reading) -> bool:
    return reading.right and reading.answers == 1


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags))


def _folder(task: Task, name: str) -> Path:
    return task.folder / task.spec.models[name]


def _table(header: list[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    typer.run(main)
