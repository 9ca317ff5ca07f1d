"""The oracle of a panel: the KL–reward frontier that no policy can pass, prompt by prompt."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpo_bench.errors import UserError
from rpo_bench.oracle import MIN_EFFECTIVE_SAMPLES, best_of, default_taus, tilted
from rpo_bench.site.panels import Panel
from rpo_bench.site.resampling import Floats
from rpo_bench.tasks import Task, load_task, task_folders

#: The n of best-of-n, as far as there are samples.
_BEST_OF = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


@dataclass(frozen=True)
class Oracle:
    """The optimum of reward − τ·KL for a range of τ, estimated from samples of the reference policy.

    Attributes:
        prompts: The prompts' identities, (P,).
        kl: Nats, by prompt and τ from large to small, (P, T).
        reward: Likewise, (P, T).
        effective: Effective number of samples behind it, likewise, (P, T).
        samples: Samples per prompt that it was estimated from.
        best_of: n of the best-of-n curve, (M,).
        best_of_kl: Its KL at most, nats, (M,).
        best_of_reward: By prompt, (P, M).
    """

    prompts: tuple[str, ...]
    kl: Floats
    reward: Floats
    effective: Floats
    samples: int
    best_of: tuple[int, ...]
    best_of_kl: Floats
    best_of_reward: Floats

    @property
    def trusted(self) -> int:
        """How many of the τ, from the largest, have enough effective samples on the median prompt."""
        enough = np.median(self.effective, axis=0) >= MIN_EFFECTIVE_SAMPLES
        return len(enough) if enough.all() else int(np.argmin(enough))

    @property
    def end(self) -> float:
        """The KL up to which it can be trusted, nats."""
        return float(self.kl[:, self.trusted - 1].mean()) if self.trusted else 0.0

    def select(self, prompts: tuple[str, ...]) -> "Oracle | None":
        """The same for some of the prompts, in their order; None when it doesn't know them all."""
        index = {prompt: i for i, prompt in enumerate(self.prompts)}
        if not prompts or not set(prompts) <= set(index):
            return None
        at = [index[prompt] for prompt in prompts]
        return Oracle(
            prompts,
            self.kl[at],
            self.reward[at],
            self.effective[at],
            self.samples,
            self.best_of,
            self.best_of_kl,
            self.best_of_reward[at],
        )


def estimate_oracle(rewards: Floats, prompts: tuple[str, ...]) -> Oracle:
    """The oracle from rewards of samples of the reference policy.

    Args:
        rewards: (P, N), by prompt and sample.
        prompts: The prompts' identities, (P,).
    """
    points = [tilted(rewards, float(tau)) for tau in default_taus(rewards)]
    kl, reward, share = (np.stack([point[i] for point in points], axis=1) for i in range(3))  # (P, T)
    samples = rewards.shape[1]
    counts = tuple(n for n in _BEST_OF if n <= samples)
    return Oracle(
        prompts=prompts,
        kl=kl,
        reward=reward,
        effective=share * samples,
        samples=samples,
        best_of=counts,
        best_of_kl=np.array([np.log(n) - (n - 1) / n for n in counts]),
        best_of_reward=np.stack([best_of(rewards, n) for n in counts], axis=1),
    )


def panel_oracle(panel: Panel) -> Oracle | str:
    """The oracle that a panel's task ships for its model, or why there is none."""
    spec = panel.spec
    if spec.evaluation.reward is not None:
        return "the reward is not the task's own"
    if not spec.evaluation.decoding.ancestral:
        return "the decoding is not the policy's own distribution, of which the oracle is a statement"
    try:
        if spec.task not in task_folders():
            return "the task isn't at hand, or has no reference samples"
        task = load_task(spec.task)
        if spec.model not in task.spec.reference_samples:
            return "the task has no reference samples for this model"
        if task.hash != spec.task_hash:
            return "the task has changed since the results were made"
        return read_oracle(task, spec.model)
    except UserError as error:
        return str(error).rstrip(".")


def read_oracle(task: Task, model: str) -> Oracle:
    """The oracle from a task's file of reference samples; raises UserError when it doesn't fit the task."""
    name = task.spec.reference_samples[model]
    rewards = _rewards(task.folder / name, name)
    prompts = tuple(prompt.prompt_id for prompt in task.heldout)
    if rewards.ndim != 2 or len(rewards) != len(prompts) or not np.isfinite(rewards).all():
        raise UserError(
            f"{name}: wanted finite rewards, {len(prompts)} prompts by samples; found {rewards.shape}."
        )
    return estimate_oracle(rewards, prompts)


def _rewards(file: Path, name: str) -> Floats:
    """The array; errors tell the name within the task: a page needn't say where its maker keeps files."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays["rewards"], dtype=np.float64)
    except OSError as error:
        raise UserError(f"{name} can't be read: {error.strerror or 'it is damaged'}.") from error
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{name} can't be read: it doesn't hold an array 'rewards' of numbers.") from error
