"""How the judge is made: the policy, made deeper, learns to check one response, then to choose between two.

The policy already knows the world's answers, and prompts are laid out as it knows them. First it learns to
tell right claims from wrong ones, then to choose. Grades are learnt beside by a head of their own, which is
thrown away; what is left is a language model that says "A" or "B".
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rpo_bench.judge.prompts import Template
from rpo_bench.models.hf import HFModel
from tasks.civil_qa.judge_pairs import RIGHT, WRONG, Example
from trainers.inputs import pad

LABELS = ("A", "B")
_BEGIN, _MARK = "▁", "<"  # the first tokens of the template's markers
_EXTRA_SCALE = 0.3  # of what the added layers write at the start
_OF_ALL = 0.1  # weight of a label's cross-entropy among all tokens
_REPORT_EVERY = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A part of the training with a schedule of its own: warm-up, then a cosine down to 0."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 50


@dataclass(frozen=True)
class JudgeSettings:
    """How it is trained."""

    layers: int = 4
    claims: Phase = Phase(1500, 128, 2.5e-3)
    choices: Phase = Phase(2400, 64, 2e-3)
    weight_decay: float = 0.01
    label_weight: float = 2.0
    grades: int = 8
    context: int = 512
    seed: int = 0

    def no_longer_than(self, steps: int) -> "JudgeSettings":
        """The same with at most so many steps in each phase."""
        claims, choices = (replace(one, steps=min(one.steps, steps)) for one in (self.claims, self.choices))
        return replace(self, claims=claims, choices=choices)


def train_judge(
    policy: HFModel,
    template: Template,
    claims: Sequence[Example],
    choices: Sequence[Example],
    how: JudgeSettings,
) -> tuple[Any, Any]:
    """The judge's model and tokenizer.

    Args:
        policy: The decoder policy that it starts from.
        template: What it is shown.
        claims: Of one response each, right or wrong: "A" for right ones, "B" for wrong ones.
        choices: Of two.
        how: The settings.
    """
    torch.manual_seed(how.seed)
    shown = [_shown(template, one) for one in (*claims, *choices)]
    tokenizer = grown_tokenizer(policy.tokenizer, [*shown, *LABELS], how.context)
    model = grown_model(policy.model, tokenizer, how)
    cuts = np.quantile(
        np.concatenate([one.rewards for one in choices]), np.linspace(0, 1, how.grades + 1)[1:-1]
    )
    course = _Course(model, tokenizer, nn.Linear(model.config.hidden_size, how.grades), cuts, how)
    course.run(how.claims, claims, shown[: len(claims)])
    course.run(how.choices, choices, shown[len(claims) :])
    return model.eval(), tokenizer


def _shown(template: Template, one: Example) -> str:
    if len(one.texts) == 2:
        return template.render(one.prompt, *one.texts)
    whole = template.render(one.prompt, one.texts[0], "")
    return whole[: whole.index("<|B") + len("<|")]


@dataclass(frozen=True)
class _Course:
    """What the phases share."""

    model: Any
    tokenizer: Any
    grade: nn.Linear
    cuts: NDArray[np.float64]
    how: JudgeSettings

    def run(self, phase: Phase, examples: Sequence[Example], shown: Sequence[str]) -> None:
        """Trains on examples, each shown as a text, in an order of the seed's."""
        from transformers import get_cosine_schedule_with_warmup

        weights = [*self.model.parameters(), *self.grade.parameters()]
        optimizer = torch.optim.AdamW(
            weights, lr=phase.learning_rate, betas=(0.9, 0.98), weight_decay=self.how.weight_decay, fused=True
        )
        schedule = get_cosine_schedule_with_warmup(optimizer, phase.warmup, phase.steps)
        for step, rows in enumerate(_batches(len(examples), phase, self.how.seed)):
            loss, told = self.loss([examples[i] for i in rows], [shown[i] for i in rows])
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if (step + 1) % _REPORT_EVERY == 0:
                log.info("judge: step %d of %d, %s", step + 1, phase.steps, told)

    def loss(self, batch: Sequence[Example], shown: Sequence[str]) -> tuple[Tensor, str]:
        """Cross-entropies in nats of a batch of B, and what they were."""
        ids, mask = pad(self.tokenizer(list(shown)).input_ids, self.model.config.pad_token_id)
        hidden = self.model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        ended = hidden[_ends(ids, self.tokenizer.convert_tokens_to_ids(_MARK))]  # (N, H), N responses in all
        status = torch.tensor([one for example in batch for one in example.status])  # (N,)
        claims = (status == RIGHT) | (status == WRONG)
        loss, right = self._label(ended[claims], (status[claims] == WRONG).long())
        told = f"claims {loss.item():.3f}, accuracy {right:.3f}"
        if len(batch[0].texts) == 2:
            rewards = np.concatenate([one.rewards for one in batch])
            grades = torch.tensor(np.digitize(rewards, self.cuts))
            loss = loss + nn.functional.cross_entropy(self.grade(ended), grades)
            last = hidden[torch.arange(len(batch)), mask.sum(1) - 1]  # (B, H)
            label, right = self._label(last, torch.tensor([one.better for one in batch]))
            loss = loss + self.how.label_weight * label
            told += f"; choices {label.item():.3f}, accuracy {right:.3f}"
        return loss, told

    def _label(self, hidden: Tensor, which: Tensor) -> tuple[Tensor, float]:
        """Cross-entropy of the labels that 0 and 1 name, mostly between these two, and their accuracy."""
        labels = torch.tensor([self.tokenizer(x, add_special_tokens=False).input_ids[0] for x in LABELS])
        logits = self.model.lm_head(hidden)  # (N, V)
        of_two = logits[:, labels]
        loss = nn.functional.cross_entropy(of_two, which)
        loss = loss + _OF_ALL * nn.functional.cross_entropy(logits, labels[which])
        return loss, (of_two.argmax(1) == which).float().mean().item()


def _ends(ids: Tensor, mark: int) -> tuple[Tensor, Tensor]:
    """Rows and columns where responses have ended: every marker of (B, T) but each row's first."""
    marks = ids == mark
    later = marks & (marks.cumsum(1) > 1)
    rows, columns = later.nonzero(as_tuple=True)
    return rows, columns


def _batches(n: int, phase: Phase, seed: int) -> list[NDArray[np.int64]]:
    """Rows of each step: all of them in a random order, again and again."""
    rng = np.random.default_rng([seed, n])
    found: list[NDArray[np.int64]] = []
    while len(found) < phase.steps:
        order = rng.permutation(n)
        found += [order[i : i + phase.batch] for i in range(0, n - phase.batch + 1, phase.batch)]
    return found[: phase.steps]


def grown_tokenizer(tokenizer: Any, texts: Sequence[str], context: int) -> Any:
    """A policy's tokenizer with entries for what it would call unknown in some texts."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    backend = tokenizer.backend_tokenizer
    pieces = {word for text in texts for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)}
    settings = json.loads(backend.to_str())
    vocabulary = settings["model"]["vocab"]
    for word in sorted(pieces - set(vocabulary)):
        vocabulary[word] = len(vocabulary)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(settings)),
        pad_token=tokenizer.pad_token,
        eos_token=tokenizer.eos_token,
        unk_token=tokenizer.unk_token,
        bos_token=tokenizer.bos_token,
        sep_token=tokenizer.sep_token,
        padding_side=tokenizer.padding_side,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
        model_max_length=context,
    )


def grown_model(policy: Any, tokenizer: Any, how: JudgeSettings) -> Any:
    """The policy with more layers, which do little at first, and rows for the new entries."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = policy.config.to_dict() | {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": how.layers,
        "max_position_embeddings": how.context,
    }
    model = LlamaForCausalLM(LlamaConfig(**settings))
    known = policy.state_dict()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if name not in known:
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.mul_(_EXTRA_SCALE)
            elif weight.shape == known[name].shape:
                weight.copy_(known[name])
            else:
                weight[: len(known[name])].copy_(known[name])
        # What a policy answers after <sep>, the judge reads after a marker.
        embedded = model.get_input_embeddings().weight
        embedded[tokenizer.convert_tokens_to_ids(_BEGIN)] = embedded[tokenizer.sep_token_id]
    return model


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Weights in float16, and the tokenizer."""
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
