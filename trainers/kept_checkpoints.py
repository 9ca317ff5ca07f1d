"""Checkpoints that a training keeps beside its last one, at its probes."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainers.errors import UserError
from trainers.training_log import read_training_log
from trainers.whole_files import whole_folder

Keep = Literal["last", "best", "all"]

#: The probe's number by which a checkpoint is the best.
REWARD = "probe_reward"


@dataclass(frozen=True)
class KeptCheckpoints:
    """The checkpoints of a training in ``checkpoints/step-N``, in the format of its last one.

    Attributes:
        out_dir: the training's folder, with its log.
        keep: "all": of each probe; "best": of the one with the highest reward; "last": none.
        tokenizer: saved with them.
    """

    out_dir: Path
    keep: Keep = "last"
    tokenizer: Any = None

    def check(self, probes: bool) -> None:
        """Raises UserError if there are no probes to keep checkpoints at."""
        if self.keep != "last" and not probes:
            raise UserError(
                f"--keep-checkpoints {self.keep} keeps the policies of probes: give --probe-every."
            )

    def resume(self, step: int) -> None:
        """Deletes checkpoints of later steps, which the training makes again."""
        for folder in self._kept():
            if _step(folder) > step:
                shutil.rmtree(folder, ignore_errors=True)

    def after_probe(self, step: int, policy: Any, probed: Mapping[str, float]) -> None:
        """Keeps the policy as it is at a step, if it is to be kept.

        Raises:
            UserError: the best is asked for, and the probe measured no reward.
        """
        if self.keep == "best" and probed.get(REWARD) is None:
            raise UserError("--keep-checkpoints best: the probe has no reward: give all, or leave it out.")
        if self.keep == "last" or step == 0 or (self.keep == "best" and not self._best(step, probed[REWARD])):
            return
        target = self.out_dir / "checkpoints" / f"step-{step}"
        target.parent.mkdir(exist_ok=True)
        save_policy(policy, self.tokenizer, target)
        if self.keep == "best":
            for other in self._kept():
                if other != target:
                    shutil.rmtree(other, ignore_errors=True)

    def _best(self, step: int, reward: float) -> bool:
        """Whether its reward is higher than those of the checkpoints that are kept."""
        kept = {_step(folder) for folder in self._kept()} - {step}
        rows = read_training_log(self.out_dir / "train_log.jsonl")
        rewards = [row.get(REWARD) for row in rows if row["step"] in kept]
        return all(other is None or reward > other for other in rewards)

    def _kept(self) -> list[Path]:
        return [*(self.out_dir / "checkpoints").glob("step-*")]


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def save_policy(policy: Any, tokenizer: Any, folder: Path) -> None:
    """Writes a policy and its tokenizer as a folder of transformers or peft, whole or not at all."""
    with whole_folder(folder) as temporary:
        policy.save_pretrained(temporary, safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)  # peft's form, which would pass for a model card
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
