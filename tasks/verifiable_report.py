"""Measures a verifiable task as it is shipped, and prints it as tables for its page in docs/tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt
from rpo_bench.metrics.accuracy import pass_at_k
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.oracle import default_taus, oracle_curve
from rpo_bench.tasks.task import Task, known_task

_BUDGETS = (0.25, 0.5, 1.0, 1.5)  # nats
_GROUP = 8  # responses whose rewards are compared, as by the group-relative methods
_BATCH = 512


@dataclass(frozen=True)
class Behaviour:
    """What a policy does on P prompts, n samples each.

    Attributes:
        verdicts: 1 for right, 0 for wrong; (P, n).
        readable: Share of responses that the verifier can read.
        finished: Share that ended by themselves.
    """

    verdicts: Floats
    readable: float
    finished: float

    @property
    def groups(self) -> Floats:
        """Share of right answers in groups of eight samples of a prompt; (P, n // 8)."""
        prompts, n = self.verdicts.shape
        whole = self.verdicts[:, : n // _GROUP * _GROUP]
        return np.asarray(whole.reshape(prompts, -1, _GROUP).mean(axis=2))

    def figures(self) -> dict[str, float]:
        """Accuracy, pass@8 and what groups of eight are like."""
        return {
            "accuracy": float(self.verdicts.mean()),
            "pass@8": float(pass_at_k(self.verdicts, _GROUP).mean()),
            "groups of 8 all right": float((self.groups == 1).mean()),
            "groups of 8 all wrong": float((self.groups == 0).mean()),
            "groups of 8 without reward variance": float(np.isin(self.groups, (0, 1)).mean()),
            "readable": self.readable,
            "ended by itself": self.finished,
        }


def report(name: str, aspect: str, readable: Callable[[str], bool], samples: int, seed: int) -> str:
    """All tables of a task's page.

    Args:
        name: The task.
        aspect: Key of the prompts' metadata by which accuracy is told apart.
        readable: Whether the verifier can read a response.
        samples: n per held-out prompt, a multiple of eight.
        seed: Of the sampling.
    """
    task = known_task(name)
    behaviours = {}
    for model in task.spec.models:
        behaviours[model] = behave(task, load_model(task, model), readable, samples, seed)
    tables = (
        models_table(task),
        behaviour_table(task, behaviours, aspect),
        data_table(task),
        oracle_table(task),
    )
    return "\n\n".join("\n".join(lines) for lines in tables)


def load_model(task: Task, name: str) -> HFModel:
    """One of the task's own reference policies."""
    return HFModel.load(task.folder / task.spec.models[name], device="cpu")


def behave(task: Task, model: HFModel, readable: Callable[[str], bool], samples: int, seed: int) -> Behaviour:
    """Samples a policy on the held-out prompts."""
    decoding = Decoding(max_new_tokens=task.spec.max_new_tokens)
    drawn = model.generate(task.heldout, samples, decoding, seed, _BATCH)
    return Behaviour(
        verdicts_of(task, drawn).reshape(len(task.heldout), samples),
        float(np.mean([readable(sample.text) for sample in drawn])),
        float(np.mean([sample.finished for sample in drawn])),
    )


def verdicts_of(task: Task, drawn: Sequence[Generation]) -> Floats:
    """The verifier's verdicts on samples; (N,)."""
    assert task.reward is not None
    by_id: dict[str, Prompt] = {prompt.prompt_id: prompt for prompt in task.heldout}
    prompts = [by_id[sample.prompt_id] for sample in drawn]
    return np.array(task.reward(prompts, [sample.text for sample in drawn]), dtype=np.float64)


def models_table(task: Task) -> list[str]:
    """Size of the reference policies."""
    cells = []
    for name in task.spec.models:
        model = load_model(task, name)
        size = (task.folder / task.spec.models[name] / "model.safetensors").stat().st_size
        cells.append([name, f"{model.model.num_parameters():,}", f"{size:,}", str(len(model.tokenizer))])
    return _table(["reference policy", "parameters", "bytes of weights", "vocabulary"], cells)


def behaviour_table(task: Task, behaviours: dict[str, Behaviour], aspect: str) -> list[str]:
    """What the reference policies do on held-out prompts."""
    figures = {model: behaviour.figures() for model, behaviour in behaviours.items()}
    cells = [
        [measure, *(f"{found[measure]:.3f}" for found in figures.values())]
        for measure in next(iter(figures.values()))
    ]
    aspects = [str(prompt.metadata[aspect]) for prompt in task.heldout]
    for value in dict.fromkeys(sorted(aspects)):
        chosen = np.array([one == value for one in aspects])
        means = [f"{behaviour.verdicts[chosen].mean():.3f}" for behaviour in behaviours.values()]
        cells.append([f"accuracy, {aspect}: {value} ({chosen.sum()} prompts)", *means])
    samples = next(iter(behaviours.values())).verdicts.shape[1]
    return _table([f"{samples} samples per held-out prompt", *behaviours], cells)


def data_table(task: Task) -> list[str]:
    """What the training rows are like."""
    cells = []
    for variant, file in task.spec.train.items():
        rows = read_rows(task.folder / file)
        groups: dict[str, list[float]] = {}
        for row in rows:
            groups.setdefault(row.prompt_id, []).append(row.reward)
        flat = float(np.mean([len(set(rewards)) == 1 for rewards in groups.values()]))
        accuracy = float(np.mean([row.reward for row in rows]))
        cells.append([variant, f"{len(rows):,}", f"{len(groups):,}", f"{accuracy:.3f}", f"{flat:.3f}"])
    return _table(["variant", "rows", "prompts", "accuracy", "prompts without reward variance"], cells)


def oracle_table(task: Task) -> list[str]:
    """The best accuracy at a KL budget, from the reference samples."""
    cells = []
    for name, file in task.spec.reference_samples.items():
        rewards = np.load(task.folder / file)["rewards"].astype(np.float64)  # (P, N)
        curve = oracle_curve(rewards, default_taus(rewards, 400))
        cells.append([name, "0", f"{rewards.mean():.3f}"])
        for budget in _BUDGETS:
            if budget < curve.kl[-1]:
                cells.append([name, f"{budget:g}", f"{np.interp(budget, curve.kl, curve.reward):.3f}"])
        cells.append([name, f"{curve.kl[-1]:.2f}", f"{curve.reward[-1]:.3f}"])
    return _table(["model", "KL (nats)", "oracle accuracy"], cells)


def _table(header: list[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
