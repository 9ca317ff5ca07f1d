"""Tokenises prompts and ends responses, in the same way for training, sampling and scoring."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.models.plain_text import decode, encode, hidden, plain_batch, written_ids
from rpo_bench.models.templates import after_response, as_turns, chat_text, messages_of, written_prompt
from rpo_bench.spec.sections import PromptFormat


def prompt_ids(
    tokenizer: Any, text: str, is_encoder_decoder: bool, prompt_format: PromptFormat | None = None
) -> list[int]:
    """The token ids that a model is conditioned on.

    Without a chat format, the tokenizer's post-processor adds its special tokens (BOS for Llama, a final
    end-of-sequence for T5). For a decoder-only model, a final end-of-sequence is removed, as the response
    follows. A text without tokens becomes BOS, or EOS if there is no BOS. A chat template writes its special
    tokens itself, so none are added. The prompt's own text never gives special tokens: only the tokenizer and
    the format add them.

    Args:
        tokenizer: A Hugging Face tokenizer.
        text: The prompt.
        is_encoder_decoder: Whether the prompt goes to an encoder.
        prompt_format: What is written around it; None: nothing.

    Returns:
        At least one token id.
    """
    text = as_turns(text, prompt_format)
    if prompt_format is None:
        ids: list[int] = list(encode(tokenizer, written_prompt(tokenizer, text, None)).input_ids)
    else:
        special = special_ids(tokenizer, prompt_format)
        shown, spellings = _hidden(tokenizer, text, special)
        written, is_chat = written_prompt(tokenizer, shown, prompt_format), prompt_format.kind == "chat"
        ids = written_ids(tokenizer, written, spellings, special, add_special_tokens=not is_chat)
        if is_chat:
            return ids
    bos = tokenizer.bos_token_id
    if prompt_format is not None and bos is not None and ids[:2] == [bos, bos]:
        ids = ids[1:]  # the template already writes it
    if not is_encoder_decoder and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        ids = [tokenizer.eos_token_id if bos is None else bos]
    return ids


@dataclass(frozen=True)
class Closing:
    """How a response ends.

    Attributes:
        gap: White space that a template writes between a response and its end token; may be empty.
        ends: The tokens that end a response; training responses end with the first.
    """

    gap: str
    ends: tuple[int, ...]


def closing(tokenizer: Any, prompt_format: PromptFormat | None = None) -> Closing:
    """How a response ends: with end-of-sequence or, with a format, as its template ends a turn.

    The end is the first special token that the template writes after a response, with the white space before
    it. End-of-sequence always ends a response too.
    """
    return _closing(tokenizer, getattr(tokenizer, "chat_template", None), prompt_format)


@lru_cache(maxsize=16)
def _closing(tokenizer: Any, _template: Any, prompt_format: PromptFormat | None) -> Closing:
    eos = int(tokenizer.eos_token_id)
    if prompt_format is None:
        return Closing("", (eos,))
    after = after_response(tokenizer, prompt_format)
    end = after.lstrip()
    ids = tokenizer(end, add_special_tokens=False).input_ids
    if not ids or ids[0] not in {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}:
        return Closing("", (eos,))
    return Closing(after[: len(after) - len(end)], tuple(dict.fromkeys([ids[0], eos])))


def special_ids(tokenizer: Any, prompt_format: PromptFormat | None = None) -> tuple[int, ...]:
    """A template's markers, which texts must not produce, besides the tokenizer's special tokens.

    In some tokenizers, ends of turns are added tokens that aren't marked as special.
    """
    return _special_ids(tokenizer, getattr(tokenizer, "chat_template", None), prompt_format)


@lru_cache(maxsize=16)
def _special_ids(tokenizer: Any, _template: Any, prompt_format: PromptFormat | None) -> tuple[int, ...]:
    if prompt_format is None:
        return ()
    marks = closing(tokenizer, prompt_format).ends
    if prompt_format.kind == "chat":
        shown = chat_text(tokenizer, prompt_format, "prompt", header=False)
        marks += tuple(tokenizer(shown, add_special_tokens=False).input_ids)
    return tuple(sorted({*marks} & {*tokenizer.added_tokens_decoder}))


def response_ids(
    tokenizer: Any, texts: Sequence[str], prompt_format: PromptFormat | None = None
) -> list[list[int]]:
    """The tokens of responses as a policy would write them, each with its end token."""
    end = closing(tokenizer, prompt_format)
    bodies = [text + end.gap for text in texts]
    found = plain_batch(tokenizer, bodies, special_ids(tokenizer, prompt_format))
    return [[*ids, end.ends[0]] for ids in found]


def logged_response(prompt: str, response: str, prompt_format: PromptFormat | None) -> str:
    """A logged response as a policy would write it: of a transcript, without the spaces around it."""
    return response if as_turns(prompt, prompt_format) is prompt else response.strip()


def response_texts(
    tokenizer: Any, ends: Sequence[int], responses: Sequence[Sequence[int]], gap: str = ""
) -> list[str]:
    """The texts of responses, without special tokens, the end token and its gap."""
    ended = [len(row) > 0 and row[-1] in ends for row in responses]
    kept = [list(row[:-1]) if done else list(row) for row, done in zip(responses, ended, strict=True)]
    texts = decode(tokenizer, kept)
    return [text.removesuffix(gap) if done else text for text, done in zip(texts, ended, strict=True)]


def prompt_text(tokenizer: Any, text: str, prompt_format: PromptFormat | None = None) -> str:
    """The text of a prompt for a server that tokenises it itself, equivalent to ``prompt_ids``.

    A template's beginning-of-sequence is left out, as the server's tokenizer adds one.
    """
    written = written_prompt(tokenizer, as_turns(text, prompt_format), prompt_format)
    if prompt_format is None:
        return written
    bos = tokenizer.bos_token
    adds = bos is not None and list(tokenizer("").input_ids)[:1] == [tokenizer.bos_token_id]
    return written.removeprefix(bos) if adds else written


def chat_ids(tokenizer: Any, prompt: str, response: str) -> list[int]:
    """A whole conversation in the tokenizer's chat template; its texts give no special tokens."""
    special = special_ids(tokenizer, PromptFormat(kind="chat", template=None, system=None, hash=""))
    turns = [*messages_of(prompt), {"role": "assistant", "content": response}]
    texts, spellings = hidden(tokenizer, [turn["content"] for turn in turns], special)
    shown = [turn | {"content": text} for turn, text in zip(turns, texts, strict=True)]
    written = str(tokenizer.apply_chat_template(shown, tokenize=False))
    return written_ids(tokenizer, written, spellings, special, add_special_tokens=False)


def _hidden(tokenizer: Any, prompt: str, special: tuple[int, ...]) -> tuple[str, list[str]]:
    """A prompt (text or turns) with placeholders for spelt special tokens; see ``hidden``."""
    if not isinstance(prompt, Conversation):
        (shown,), spellings = hidden(tokenizer, [prompt], special)
        return shown, spellings
    texts, spellings = hidden(tokenizer, [turn.content for turn in prompt.turns], special)
    turns = (turn._replace(content=text) for turn, text in zip(prompt.turns, texts, strict=True))
    return Conversation(turns), spellings
