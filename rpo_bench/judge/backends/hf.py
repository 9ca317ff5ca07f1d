"""A local model as a judge: compares the probabilities of two labels."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpo_bench.errors import UserError
from rpo_bench.judge.prompts import Template
from rpo_bench.judge.protocol import Attempt, Call, Mode
from rpo_bench.models.hf import HFModel
from rpo_bench.models.prompt_formats import resolve_format
from rpo_bench.models.prompting import prompt_text

LABELS = ("A", "B")


def label_logps(
    model: HFModel, prompts: Sequence[str], labels: tuple[str, str] = LABELS, batch_size: int = 32
) -> NDArray[np.float64]:
    """Log-probabilities (nats) of two labels as answers to prompts, for both architectures.

    A label may follow a space or a line break. If each spelling is one token, their probabilities are added,
    as for servers. Otherwise the log-probabilities of the label's tokens are summed. Nothing is sampled.

    Args:
        model: Decoder-only or encoder-decoder.
        prompts: N texts in the model's format.
        labels: Two texts.
        batch_size: Sequences per forward pass.

    Returns:
        (N, 2).

    Raises:
        UserError: The tokenizer maps both labels to the same tokens, or a prompt doesn't fit the context.
    """
    ids = [list(model.tokenizer(label, add_special_tokens=False).input_ids) for label in labels]
    if not all(ids) or ids[0] == ids[1]:
        raise UserError(
            f"{model.path} can't judge: its tokenizer doesn't distinguish '{labels[0]}' and '{labels[1]}'."
        )
    if len(ids[0]) == len(ids[1]) == 1:  # one forward pass gives both
        spellings = _spellings(model.tokenizer, labels)
        logps = model.next_token_logps(prompts, [*spellings[0], *spellings[1]], batch_size)
        parts = np.split(logps, 2, axis=1)
        return np.stack([np.logaddexp.reduce(part, axis=1) for part in parts], axis=1)
    texts = [text for text in prompts for _ in labels]
    found = model.token_logps(texts, ids * len(prompts), batch_size)
    return np.array([float(np.sum(logps, dtype=np.float64)) for logps in found]).reshape(len(prompts), 2)


def _spellings(tokenizer: Any, labels: tuple[str, str]) -> tuple[list[int], list[int]]:
    """Single tokens that spell a label, alone or after a space or line break; equally many per label."""
    found: tuple[list[int], list[int]] = ([], [])
    for before in ("", " ", "\n"):
        pair = [tokenizer(before + label, add_special_tokens=False).input_ids for label in labels]
        known = {*found[0], *found[1]}
        if len(pair[0]) == len(pair[1]) == 1 and pair[0] != pair[1] and not known & {*pair[0], *pair[1]}:
            for own, ids in zip(found, pair, strict=True):
                own += ids
    return found


@dataclass(frozen=True)
class HFJudge:
    """A local model that answers A or B; implements ``Judge``.

    Attributes:
        model: The loaded model.
        template: Its prompt template.
        content: Hash of its folder.
        batch_size: Calls per batch; with 1, a forward pass has one call, otherwise a pair.
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
    def max_chars(self) -> int:
        """The template's limit on characters of each text."""
        return self.template.max_chars

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, the template and the chat format."""
        found = {
            "backend": "embedded" if self.embedded else "hf",
            "model": self.model.path.rstrip("/").rpartition("/")[2],
            "content": self.content,
            "mode": self.mode,
            "template": self.template.name,
            "template_hash": self.template.hash,
            "max_chars": self.template.max_chars,
            "labels": list(LABELS),
        }
        return found if self.embedded else {**found, "asked_as": self._shown("{question}")}

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """The log-probabilities of A and B for each call.

        A forward pass holds only the two orders of one pair, so other calls can't change its results.
        """
        start = time.perf_counter()
        pairs = [self._both_orders(call) for call in calls]
        self._check_length([text for pair in pairs for text in pair])
        logps = {pair: label_logps(self._prompted, pair, LABELS, self.batch_size) for pair in set(pairs)}
        found = [
            logps[pair][pair.index(self.template.question(call))]
            for call, pair in zip(calls, pairs, strict=True)
        ]  # (2,) each
        if not np.isfinite(found).all():
            raise UserError(f"{self.model.path} gives non-finite log-probabilities: it is damaged.")
        each = (time.perf_counter() - start) / len(calls)
        return [Attempt(label_logps=(float(a), float(b)), seconds=each) for a, b in found]

    def _both_orders(self, call: Call) -> tuple[str, str]:
        """The prompts of a call and its swap, in an order that depends only on the texts."""
        swapped = replace(call, first=call.second, second=call.first)
        first, second = sorted(map(self.template.question, (call, swapped)))
        return first, second

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Nothing is priced."""
        return 0, 0

    @cached_property
    def _prompted(self) -> HFModel:
        """The model with its chat format, if it has one."""
        chat = getattr(self.model.tokenizer, "chat_template", None) and not self.model.is_encoder_decoder
        form = resolve_format(
            "chat" if chat else "none",
            None,
            self.model.tokenizer,
            self.model.path,
            self.model.is_encoder_decoder,
        )
        return replace(self.model, prompt_format=form)

    def _check_length(self, shown: Sequence[str]) -> None:
        longest = max(len(self._prompted.encode(text)) for text in shown) + 1
        if self.model.context is not None and longest > self.model.context:
            raise UserError(
                f"{self.model.path} can't judge: a question has {longest} tokens, and its context is "
                f"{self.model.context}; lower --judge-max-chars, or give a shorter --judge-template."
            )

    def _shown(self, text: str) -> str:
        """The text of a question, without the tokenizer's special tokens."""
        return prompt_text(self.model.tokenizer, text, self._prompted.prompt_format)
