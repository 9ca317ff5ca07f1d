"""A local model as a judge: which of two labels it finds likelier as the answer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpo_bench.errors import UserError
from rpo_bench.judge.prompts import Template
from rpo_bench.judge.protocol import Attempt, Call, Mode
from rpo_bench.models.hf import HFModel

LABELS = ("A", "B")


def label_logps(
    model: HFModel, prompts: Sequence[str], labels: tuple[str, str] = LABELS, batch_size: int = 32
) -> NDArray[np.float64]:
    """Log-probabilities (nats) of two labels as the answers to prompts, for both architectures.

    A label's tokens are summed; nothing is sampled.

    Args:
        model: Decoder-only or encoder-decoder.
        prompts: N texts, as the model is to see them.
        labels: Two texts.
        batch_size: Sequences per forward pass.

    Returns:
        (N, 2).

    Raises:
        UserError: The tokenizer doesn't tell the labels apart, or a prompt doesn't fit the context.
    """
    ids = [list(model.tokenizer(label, add_special_tokens=False).input_ids) for label in labels]
    if not all(ids) or ids[0] == ids[1]:
        raise UserError(
            f"{model.path} can't judge: its tokenizer doesn't tell '{labels[0]}' from '{labels[1]}'."
        )
    if len(ids[0]) == len(ids[1]) == 1:  # one forward pass tells both
        return model.next_token_logps(prompts, [ids[0][0], ids[1][0]], batch_size)
    texts = [text for text in prompts for _ in labels]
    found = model.token_logps(texts, ids * len(prompts), batch_size)
    return np.array([float(np.sum(logps, dtype=np.float64)) for logps in found]).reshape(len(prompts), 2)


def label_probabilities(
    model: HFModel, prompts: Sequence[str], labels: tuple[str, str] = LABELS, batch_size: int = 32
) -> NDArray[np.float64]:
    """Probabilities of two labels, given that it is one of them, (N, 2); see ``label_logps``."""
    logps = label_logps(model, prompts, labels, batch_size)
    weights = np.exp(logps - logps.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class HFJudge:
    """A model folder that is asked for A or B; implements ``Judge``.

    Attributes:
        model: Loaded.
        template: What it is shown.
        content: Hash of its folder.
        batch_size: Calls per forward pass.
        embedded: Whether it is the task's own judge.
    """

    model: HFModel
    template: Template
    content: str
    batch_size: int = 32
    embedded: bool = False

    mode: Mode = "logprobs"
    concurrency: int = 1
    asks_again: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """The weights and the template."""
        return {
            "backend": "embedded" if self.embedded else "hf",
            "model": self.model.path.rstrip("/").rpartition("/")[2],
            "content": self.content,
            "mode": self.mode,
            "template": self.template.name,
            "template_hash": self.template.hash,
            "max_chars": self.template.max_chars,
            "labels": list(LABELS),
        }

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """The log-probabilities of A and B for each call."""
        start = time.perf_counter()
        shown = [self._shown(self.template.render(c.prompt.text, c.first, c.second)) for c in calls]
        self._check_length(shown)
        logps = label_logps(self.model, shown, LABELS, self.batch_size)
        if not np.isfinite(logps).all():
            raise UserError(f"{self.model.path} gives non-finite log-probabilities: it is damaged.")
        each = (time.perf_counter() - start) / len(calls)
        return [Attempt(label_logps=(float(a), float(b)), seconds=each) for a, b in logps]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Nothing is priced."""
        return 0, 0

    def _check_length(self, shown: Sequence[str]) -> None:
        longest = max(len(self.model.encode(text)) for text in shown) + 1
        if self.model.context is not None and longest > self.model.context:
            raise UserError(
                f"{self.model.path} can't judge: a question takes {longest} tokens and it reads "
                f"{self.model.context}; lower --judge-max-chars, or give a shorter --judge-template."
            )

    def _shown(self, text: str) -> str:
        """The text in the model's chat format, where it has one."""
        tokenizer = self.model.tokenizer
        if not getattr(tokenizer, "chat_template", None):
            return text
        turns = [{"role": "user", "content": text}]
        chat = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        return chat.removeprefix(tokenizer.bos_token or "")  # encoding puts it there again
