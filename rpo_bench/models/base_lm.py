"""Trains small language models from scratch, for use without the hub."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.base_shape import BaseSettings, build_model, generation_settings
from rpo_bench.models.base_texts import TextPair
from rpo_bench.models.base_tokenizer import Architecture, train_tokenizer
from rpo_bench.models.quiet import quiet

if TYPE_CHECKING:
    from trainers.resuming import Resume

#: Called after each step with (steps done, total steps, training loss in nats per token).
Progress = Callable[[int, int, float], None]

_ROUNDED_TO = 32  # context lengths are multiples of this
_LONGEST_CONTEXT = 2048  # limit of a context sized to the data; longer ones must be requested
_EVALUATION_BATCH = 64


@dataclass(frozen=True)
class EncodedPairs:
    """Tokenised texts: prompts with special tokens, responses with end-of-sequence."""

    prompts: list[list[int]]
    responses: list[list[int]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of prompt plus response, (N,)."""
        pairs = zip(self.prompts, self.responses, strict=True)
        return np.array([len(prompt) + len(response) for prompt, response in pairs], dtype=np.int64)


@dataclass(frozen=True)
class BaseReport:
    """Results of pretraining.

    Attributes:
        perplexity: exp of the mean loss per response token on held-out texts.
        heldout_tokens: number of held-out response tokens.
        shortened: training texts cut to the context length.
        tokens: response and prompt tokens trained on, without padding.
    """

    parameters: int
    vocabulary: int
    context_length: int
    perplexity: float
    heldout_tokens: int
    shortened: int
    tokens: int
    seconds: float


def train_base(
    train: Sequence[TextPair],
    heldout: Sequence[TextPair],
    settings: BaseSettings,
    out: Path,
    progress: Progress | None = None,
) -> BaseReport:
    """Trains a tokenizer and a language model on texts, and saves both to one folder.

    The loss is the mean negative log-probability of response and end-of-sequence given the prompt. Weights
    are bitwise reproducible for the same settings, texts and number of threads on the same machine.

    Args:
        train: Training texts.
        heldout: Texts for the perplexity.
        settings: Shape and training settings.
        out: The output folder, created atomically.
        progress: Called after every step.

    Raises:
        UserError: Too few texts, an invalid shape, or a folder that can't be written.
    """
    import torch

    from trainers.device import process_device
    from trainers.resuming import Resume

    if len(train) < 2 or not heldout:
        raise UserError(
            f"A base model needs at least two training texts and one held-out text; there are {len(train)}."
        )
    began = time.perf_counter()
    texts = [text for pair in train for text in (pair.prompt, pair.response)]
    tokenizer = train_tokenizer(texts, settings.architecture, settings.tokenizer, settings.vocab_size)
    whole, held = encode(tokenizer, train), encode(tokenizer, heldout)
    context = settings.context_length or _suitable_context(whole, held)
    tokenizer.model_max_length = context
    encoded = fit_context(whole, settings.architecture, context)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = build_model(settings, tokenizer, context)
    device = process_device()
    model.to(device)
    content = [encoded.prompts, encoded.responses, settings.model_dump(mode="json"), context]
    where = [torch.get_num_threads(), str(torch.__version__), str(device)]
    resume = Resume.beside(out, hash_json([*content, *where]))
    tokens = _pretrain(model, encoded, settings, progress, resume)
    loss, count = mean_loss(model, fit_context(held, settings.architecture, context))
    model.generation_config = generation_settings(model, max(map(len, encoded.responses)))
    with atomic_folder(out) as folder, quiet():
        model.to("cpu").save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    resume.done()
    return BaseReport(
        parameters=sum(p.numel() for p in model.parameters()),
        vocabulary=len(tokenizer),
        context_length=context,
        perplexity=math.exp(loss),
        heldout_tokens=count,
        shortened=int((whole.lengths != encoded.lengths).sum()),
        tokens=tokens,
        seconds=time.perf_counter() - began,
    )


def encode(tokenizer: Any, pairs: Sequence[TextPair]) -> EncodedPairs:
    """Tokenises prompts and responses in the same way as training, generation and scoring."""
    prompts = tokenizer([pair.prompt for pair in pairs]).input_ids
    responses = tokenizer([pair.response for pair in pairs], add_special_tokens=False).input_ids
    return EncodedPairs(prompts, [[*response, tokenizer.eos_token_id] for response in responses])


def fit_context(encoded: EncodedPairs, architecture: Architecture, context: int) -> EncodedPairs:
    """Cuts texts that don't fit: the response's end beyond half the context, then the prompt's beginning.

    Special tokens around a prompt are kept. In a decoder, prompt and response share the context. In an
    encoder-decoder, each has its own.
    """
    first = 1 if architecture == "decoder" else 0  # keep <bos>
    prompts, responses = [], []
    for prompt, response in zip(encoded.prompts, encoded.responses, strict=True):
        if architecture == "decoder":
            room = max(context - len(prompt), context // 2)
            kept = response[:room]
            budget = context - len(kept)
        else:
            kept, budget = response[:context], context
        dropped = max(len(prompt) - budget, 0)
        prompts.append(prompt[:first] + prompt[first + dropped :])
        responses.append(kept)
    return EncodedPairs(prompts, responses)


def mean_loss(model: Any, encoded: EncodedPairs) -> tuple[float, int]:
    """Mean negative log-probability per response token (nats), and the number of tokens."""
    import torch

    from trainers.inputs import TokenLayout, collate
    from trainers.logps import token_logps

    layout = TokenLayout.of(model)
    order = np.argsort(encoded.lengths, kind="stable")
    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for start in range(0, len(order), _EVALUATION_BATCH):
            chosen = order[start : start + _EVALUATION_BATCH]
            prompts = [encoded.prompts[i] for i in chosen]
            inputs = collate(prompts, [encoded.responses[i] for i in chosen], layout).to(model.device)
            total -= float(token_logps(model, inputs).sum())
            count += int(inputs.response_mask.sum())
    return total / count, count


def _pretrain(
    model: Any, encoded: EncodedPairs, settings: BaseSettings, progress: Progress | None, resume: "Resume"
) -> int:
    """Trains the model in place; returns the number of tokens."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    from trainers.batches import plan_batches
    from trainers.inputs import TokenLayout, collate
    from trainers.length_groups import length_groups, pass_cost
    from trainers.logps import token_logps

    groups = np.arange(len(encoded.prompts))
    plan = plan_batches(groups, settings.steps, settings.batch_size, settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.peak_learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    warmup = min(200, settings.steps // 10)
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, settings.steps)
    layout = TokenLayout.of(model)
    # All batches share one divisor. Dividing by each batch's own token count would give tokens of short
    # responses more weight, and the model would learn short responses.
    typical = float(np.mean([len(response) for response in encoded.responses])) * plan.batches.shape[1]
    model.train()  # the model has no dropout
    first, log = resume.start(model, optimizer, schedule)
    for step, batch in enumerate(plan.batches[first:], start=first + 1):
        total, count = 0.0, 0
        for places in length_groups(encoded.lengths[batch], pass_cost(model.device)):
            rows = batch[places]
            inputs = collate([encoded.prompts[i] for i in rows], [encoded.responses[i] for i in rows], layout)
            loss = -token_logps(model, inputs.to(model.device)).sum()
            (loss / typical).backward()
            total, count = total + float(loss.detach()), count + int(inputs.response_mask.sum())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if progress is not None:
            progress(step, settings.steps, total / count)
        resume.step(step, log, model, optimizer, schedule)
    return int(encoded.lengths[plan.batches].sum())


def _suitable_context(*texts: EncodedPairs) -> int:
    """A context with room for the longest prompt plus the longest response of all texts."""
    prompt = max(len(ids) for encoded in texts for ids in encoded.prompts)
    longest = prompt + max(len(ids) for encoded in texts for ids in encoded.responses)
    return min(-(-longest // _ROUNDED_TO) * _ROUNDED_TO, _LONGEST_CONTEXT)
