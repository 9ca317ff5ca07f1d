"""Samples a cell's policy with the backend in its spec, and describes that backend for the record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.models.backends.agreement import agreement, check_agreement
from rpo_bench.models.backends.protocol import Answer, Backend, Request, sample_seed
from rpo_bench.models.folder import has_tokenizer
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.plain_text import spelt
from rpo_bench.models.prompting import closing, prompt_ids, prompt_text, response_texts, special_ids
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import Decoding


@dataclass(frozen=True)
class PolicySamples:
    """Samples of a policy.

    Attributes:
        generations: Ordered by prompt, then sample.
        exact: Whether the sampled tokens are known; otherwise the generations have no tokens.
        answer: The backend's answer; None for transformers.
    """

    generations: list[Generation]
    exact: bool = True
    answer: Answer | None = field(default=None, repr=False)

    def described(self, logps: Sequence[NDArray[np.float32]], work: CellWork) -> dict[str, Any] | None:
        """The record's description of the backend; None for transformers.

        Args:
            logps: Log-probabilities of the generations' tokens from transformers; N arrays (T_i,).
            work: The cell.

        Raises:
            UserError: they differ too much from the backend's: it sampled from another model.
        """
        if self.answer is None:
            return None
        found = agreement(self.answer.sampled, logps) if self.exact else None
        check_agreement(found, work.policy)
        return self.answer.described | ({} if found is None else {"logp_difference": asdict(found)})


def other_backend(work: CellWork) -> Backend | None:
    """The backend that replaces transformers; None for transformers.

    A server has only the checkpoint, so the reference itself is sampled with transformers.
    """
    spec = work.spec
    if spec.generation.backend == "vllm":
        from rpo_bench.models.backends.vllm_engine import VllmEngine

        return VllmEngine(work.policy, spec.loading.dtype, spec.generation.vllm, work.trust.trust_remote_code)
    if spec.generation.backend == "openai" and work.checkpoint is not None:
        from rpo_bench.models.backends.server import CompletionsServer

        return CompletionsServer(spec.generation.openai, work.policy)
    return None


def sample_by(
    backend: Backend, work: CellWork, prompts: Sequence[Prompt], decoding: Decoding
) -> PolicySamples:
    """Samples a policy with another backend, given the prompts' tokens and the seeds.

    Raises:
        UserError: the backend failed.
    """
    spec, n = work.spec, work.spec.evaluation.n_samples
    folder = work.policy if has_tokenizer(work.policy) else Path(spec.model_path)  # an adapter's base
    tokenizer = load_tokenizer(str(folder), work.trust.trust_remote_code)
    end = closing(tokenizer, spec.prompt_format)
    answer = backend.sample(_requests(spec, tokenizer, prompts), decoding, end.ends)
    requested = [(prompt, number) for prompt in prompts for number in range(n)]
    exact = all(one.token_ids is not None for one in answer.sampled)
    if not exact:
        _check_plain(prompts, tokenizer, spec, work.policy)
    if not exact and decoding.temperature > 0:
        _check_sampled([one.text for one in answer.sampled], n, work.policy)
    tokens = [one.token_ids or () for one in answer.sampled]
    texts = response_texts(tokenizer, end.ends, tokens, end.gap)
    generations = [
        Generation(
            prompt.prompt_id,
            prompt.text,
            number,
            text if one.text is None else one.text.removesuffix(end.gap) if one.finished else one.text,
            ids if exact else (),
            one.finished,
        )
        for (prompt, number), one, ids, text in zip(requested, answer.sampled, tokens, texts, strict=True)
    ]
    return PolicySamples(generations, exact, answer)


def _check_plain(prompts: Sequence[Prompt], tokenizer: Any, spec: CellSpec, folder: Path) -> None:
    """Refuses prompts that spell special tokens, which a server that takes text would parse as such."""
    special = special_ids(tokenizer, spec.prompt_format)
    for prompt in prompts:
        found = spelt(tokenizer, prompt.text, special)
        if found:
            raise UserError(
                f"The prompt {prompt.prompt_id} spells the special token '{found[0]}', and a server that "
                f"takes only text reads it as that token: sample {folder} with hf, vllm, or a server that "
                "takes tokens (vLLM's)."
            )


def _check_sampled(texts: Sequence[str | None], n: int, folder: Path) -> None:
    """Refuses texts that were decoded greedily, as by servers that ignore the sampling settings."""
    if n > 1 and all(len(set(texts[first : first + n])) == 1 for first in range(0, len(texts), n)):
        raise UserError(
            f"The server gives {n} equal answers to every prompt: it ignores the sampling settings and "
            f"decodes greedily, so these aren't samples of {folder}. Make it sample (do_sample in "
            "generation_config.json), or sample with hf."
        )


def _requests(spec: CellSpec, tokenizer: Any, prompts: Sequence[Prompt]) -> list[Request]:
    found = []
    for prompt in prompts:
        ids = tuple(prompt_ids(tokenizer, prompt.text, False, spec.prompt_format))
        text = prompt_text(tokenizer, prompt.text, spec.prompt_format)
        for number in range(spec.evaluation.n_samples):
            found.append(Request(ids, text, sample_seed(spec.evaluation.seed, prompt, number)))
    return found
