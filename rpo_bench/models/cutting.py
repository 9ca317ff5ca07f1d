"""Cuts long prompts: the oldest text goes first, and the prompt format is kept."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.models.plain_text import as_text
from rpo_bench.models.prompting import prompt_ids
from rpo_bench.models.templates import SYSTEM_ROLES, as_turns
from rpo_bench.spec.sections import PromptFormat


def cut_prompt(
    tokenizer: Any, prompt: str, length: int, is_encoder_decoder: bool, prompt_format: PromptFormat | None
) -> str | None:
    """The longest end of a prompt's text that fits into ``length`` tokens, including the format.

    Beginning-of-sequence, the template's header, the system turn and the response header are kept. In a
    conversation, the oldest turns are removed first, then the last turn's text is cut.

    Args:
        tokenizer: A Hugging Face tokenizer.
        prompt: A text, or a conversation.
        length: The limit in tokens.
        is_encoder_decoder: Whether the prompt goes to an encoder.
        prompt_format: The prompt format.

    Returns:
        The cut prompt; None where the format leaves no room for even one token.
    """
    prompt = as_turns(prompt, prompt_format)

    def fits(text: str) -> bool:
        return len(prompt_ids(tokenizer, text, is_encoder_decoder, prompt_format)) <= length

    ends = _ends(tokenizer, prompt)
    first = bisect_left(range(len(ends)), True, key=lambda i: fits(ends[i]))
    return next((text for text in ends[first:] if fits(text)), None)


def least_prompt(
    tokenizer: Any, prompt: str, is_encoder_decoder: bool, prompt_format: PromptFormat | None
) -> int:
    """Tokens of the shortest possible prompt: the format, and the text's last token."""
    shortest = _ends(tokenizer, as_turns(prompt, prompt_format))[-1]
    return len(prompt_ids(tokenizer, shortest, is_encoder_decoder, prompt_format))


def _ends(tokenizer: Any, prompt: str) -> Sequence[str]:
    """The possible ends of a prompt, longest first."""
    if not isinstance(prompt, Conversation):
        return [prompt[start:] for start in _starts(tokenizer, prompt)]
    turns = prompt.turns
    kept = [turn for turn in turns[:-1] if turn.role in SYSTEM_ROLES]
    shorter = [Conversation(turns)]
    for first in range(1, len(turns)):
        before = [turn for turn in turns[:first] if turn.role in SYSTEM_ROLES]
        begins = turns[first].role not in (*SYSTEM_ROLES, "assistant")  # with a question
        if len(before) < first and begins:
            shorter.append(Conversation([*before, *turns[first:]]))
    last = turns[-1]
    texts = [last.content[start:] for start in _starts(tokenizer, last.content)]
    return [*shorter, *(Conversation([*kept, last._replace(content=text)]) for text in texts[1:])]


def _starts(tokenizer: Any, text: str) -> list[int]:
    """The positions where a text's tokens begin; for tokenizers without offsets, every position."""
    if not getattr(tokenizer, "is_fast", False):
        return list(range(len(text))) or [0]
    (shown,), options = as_text(tokenizer, [text])
    if shown != text:
        return list(range(len(text)))
    found = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, verbose=False, **options
    ).offset_mapping
    return sorted({0, *(start for start, end in found if end > start)})
