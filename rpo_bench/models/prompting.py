"""How a prompt becomes tokens, and what ends its answer: one rule for training, sampling and scoring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.errors import UserError, first_line
from rpo_bench.models.plain_text import decode, encode, hidden, plain_batch, written_ids
from rpo_bench.spec.schema import PromptFormat

#: Some chat templates (Llama 3's) write today's date into the prompt unless they are told one.
_DATE = "26 Jul 2024"
#: Says that date to a template whose caller can't.
DATED = f"{{%- set date_string = '{_DATE}' -%}}"
_MARK = "response-goes-here"
#: Who speaks in a system turn, as templates call it.
SYSTEM_ROLES = ("system", "developer")


def prompt_ids(
    tokenizer: Any, text: str, is_encoder_decoder: bool, prompt_format: PromptFormat | None = None
) -> list[int]:
    """The token ids that a model is conditioned on.

    Without a chat format the tokenizer's own special tokens are added as its post-processor says (BOS for
    Llama, a final end-of-sequence for T5). For a decoder-only model a final end-of-sequence is taken off,
    because the response has to follow it. A text that gives no token becomes BOS, or EOS where there is no
    BOS. A chat template writes its special tokens itself, so none is added to it. The prompt's own text gives
    no special token, whatever it spells: only the tokenizer and the format write them.

    Args:
        tokenizer: A Hugging Face tokenizer.
        text: The prompt.
        is_encoder_decoder: Whether the prompt goes to an encoder.
        prompt_format: What is written around it; None: nothing.

    Returns:
        At least one token id.
    """
    if prompt_format is None:
        ids: list[int] = list(encode(tokenizer, _written(tokenizer, text, None)).input_ids)
    else:
        special = special_ids(tokenizer, prompt_format)
        shown, spellings = _hidden(tokenizer, text, special)
        written, is_chat = _written(tokenizer, shown, prompt_format), prompt_format.kind == "chat"
        ids = written_ids(tokenizer, written, spellings, special, add_special_tokens=not is_chat)
        if is_chat:
            return ids
    bos = tokenizer.bos_token_id
    if prompt_format is not None and bos is not None and ids[:2] == [bos, bos]:
        ids = ids[1:]  # the template has written it already
    if not is_encoder_decoder and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        ids = [tokenizer.eos_token_id if bos is None else bos]
    return ids


@dataclass(frozen=True)
class Closing:
    """How a response ends.

    Attributes:
        gap: What a template writes between a response and the token that ends it: white space, or nothing.
        ends: The tokens that end a response; the first is what responses that are trained on end with.
    """

    gap: str
    ends: tuple[int, ...]


def closing(tokenizer: Any, prompt_format: PromptFormat | None = None) -> Closing:
    """How a response ends: by end-of-sequence or, with a format, as its template ends a turn.

    That is the first special token that the template writes after a response, with the white space before
    it. End-of-sequence ends a response too where that is another token.
    """
    return _closing(tokenizer, getattr(tokenizer, "chat_template", None), prompt_format)


@lru_cache(maxsize=16)
def _closing(tokenizer: Any, _template: Any, prompt_format: PromptFormat | None) -> Closing:
    eos = int(tokenizer.eos_token_id)
    if prompt_format is None:
        return Closing("", (eos,))
    after = _after_response(tokenizer, prompt_format)
    end = after.lstrip()
    ids = tokenizer(end, add_special_tokens=False).input_ids
    if not ids or ids[0] not in {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}:
        return Closing("", (eos,))
    return Closing(after[: len(after) - len(end)], tuple(dict.fromkeys([ids[0], eos])))


def end_ids(tokenizer: Any, prompt_format: PromptFormat | None = None) -> tuple[int, ...]:
    """The tokens that end a response; the first is what responses that are trained on end with."""
    return closing(tokenizer, prompt_format).ends


def special_ids(tokenizer: Any, prompt_format: PromptFormat | None = None) -> tuple[int, ...]:
    """Tokens that a text mustn't give besides those that the tokenizer calls special: a template's markers.

    Some tokenizers have the ends of turns as added tokens that aren't special.
    """
    return _special_ids(tokenizer, getattr(tokenizer, "chat_template", None), prompt_format)


@lru_cache(maxsize=16)
def _special_ids(tokenizer: Any, _template: Any, prompt_format: PromptFormat | None) -> tuple[int, ...]:
    if prompt_format is None:
        return ()
    marks = closing(tokenizer, prompt_format).ends
    if prompt_format.kind == "chat":
        shown = chat_text(tokenizer, prompt_format, "prompt", begun=False)
        marks += tuple(tokenizer(shown, add_special_tokens=False).input_ids)
    return tuple(sorted({*marks} & {*tokenizer.added_tokens_decoder}))


def response_ids(
    tokenizer: Any, texts: Sequence[str], prompt_format: PromptFormat | None = None
) -> list[list[int]]:
    """The tokens of responses as a policy would have written them, each with the one that ends it."""
    end = closing(tokenizer, prompt_format)
    bodies = [text + end.gap for text in texts]
    found = plain_batch(tokenizer, bodies, special_ids(tokenizer, prompt_format))
    return [[*ids, end.ends[0]] for ids in found]


def response_texts(
    tokenizer: Any, ends: Sequence[int], responses: Sequence[Sequence[int]], gap: str = ""
) -> list[str]:
    """What responses say: without special tokens, and without the token that ended them and its gap."""
    ended = [len(row) > 0 and row[-1] in ends for row in responses]
    kept = [list(row[:-1]) if done else list(row) for row, done in zip(responses, ended, strict=True)]
    texts = decode(tokenizer, kept)
    return [text.removesuffix(gap) if done else text for text, done in zip(texts, ended, strict=True)]


def prompt_text(tokenizer: Any, text: str, prompt_format: PromptFormat | None = None) -> str:
    """What is written of a prompt for somebody who tokenises it himself, as ``prompt_ids`` does here.

    A beginning-of-sequence that a template writes is left out: whoever tokenises adds one.
    """
    written = _written(tokenizer, text, prompt_format)
    if prompt_format is None:
        return written
    bos = tokenizer.bos_token
    adds = bos is not None and list(tokenizer("").input_ids)[:1] == [tokenizer.bos_token_id]
    return written.removeprefix(bos) if adds else written


def chat_text(
    tokenizer: Any,
    prompt_format: PromptFormat,
    prompt: str,
    response: str | None = None,
    *,
    begun: bool = True,
) -> str:
    """A conversation as the template writes it: up to where the response begins, or with the response.

    The turns of a prompt that is a conversation stay as they are; the format's system turn comes before them
    where they have none of their own. ``begun=False`` leaves out what the template writes before a response.
    """
    turns = messages_of(prompt)
    if prompt_format.system is not None and turns[0]["role"] not in SYSTEM_ROLES:
        turns.insert(0, {"role": "system", "content": prompt_format.system})
    if response is not None:
        turns.append({"role": "assistant", "content": response})
    written: str = tokenizer.apply_chat_template(
        turns,
        chat_template=prompt_format.template,
        tokenize=False,
        add_generation_prompt=begun and response is None,
        date_string=_DATE,
    )
    return written


def messages_of(prompt: str) -> list[dict[str, str]]:
    """A prompt's turns as chat templates take them; of a text its one turn, the user's."""
    return prompt.messages if isinstance(prompt, Conversation) else [{"role": "user", "content": prompt}]


def check_turns(tokenizer: Any, prompts: Iterable[str], prompt_format: PromptFormat | None) -> None:
    """Checks that a format can write every prompt that is a conversation; raises UserError otherwise."""
    for prompt in prompts:
        if isinstance(prompt, Conversation):
            _written(tokenizer, prompt, prompt_format)


def _written_turns(tokenizer: Any, prompt: Conversation, prompt_format: PromptFormat | None) -> str:
    """A conversation, each of whose turns the template has to show."""
    start = repr(prompt.turns[0].content[:40])
    if prompt_format is None or prompt_format.kind != "chat":
        raise UserError(
            f"The conversation that begins {start} has several turns, and only a chat template can show "
            "them: say --prompt-format chat, or name a .jinja file."
        )
    try:
        written = chat_text(tokenizer, prompt_format, prompt)
    except Exception as error:  # whatever a template raises
        reason = first_line(error)
        raise UserError(
            f"The chat template can't write the conversation that begins {start}: {reason}."
        ) from error
    for role, content in prompt.turns:  # what an assistant thought may be taken out of earlier turns
        if role != "assistant" and content.strip() not in written:
            raise UserError(
                f"The chat template leaves out the '{role}' turn {content[:40]!r} of a conversation: give "
                "another one by --prompt-format FILE.jinja."
            )
    return written


def chat_ids(tokenizer: Any, prompt: str, response: str) -> list[int]:
    """A whole conversation through the tokenizer's own chat template; no text in it gives a special token."""
    special = special_ids(tokenizer, PromptFormat(kind="chat", template=None, system=None, hash=""))
    turns = [*messages_of(prompt), {"role": "assistant", "content": response}]
    texts, spellings = hidden(tokenizer, [turn["content"] for turn in turns], special)
    shown = [turn | {"content": text} for turn, text in zip(turns, texts, strict=True)]
    written = str(tokenizer.apply_chat_template(shown, tokenize=False))
    return written_ids(tokenizer, written, spellings, special, add_special_tokens=False)


def _hidden(tokenizer: Any, prompt: str, special: tuple[int, ...]) -> tuple[str, list[str]]:
    """A prompt, be it a text or turns, with places instead of what spells special tokens; see ``hidden``."""
    if not isinstance(prompt, Conversation):
        (shown,), spellings = hidden(tokenizer, [prompt], special)
        return shown, spellings
    texts, spellings = hidden(tokenizer, [turn.content for turn in prompt.turns], special)
    turns = (turn._replace(content=text) for turn, text in zip(prompt.turns, texts, strict=True))
    return Conversation(turns), spellings


def _written(tokenizer: Any, text: str, prompt_format: PromptFormat | None) -> str:
    """The prompt as its format writes it, up to where the response begins."""
    if isinstance(text, Conversation):
        return _written_turns(tokenizer, text, prompt_format)
    if prompt_format is None:
        return text
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, text)
    return _layout(prompt_format)[0].replace("{prompt}", text)


def _after_response(tokenizer: Any, prompt_format: PromptFormat) -> str:
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, "prompt", _MARK).rpartition(_MARK)[2]
    return _layout(prompt_format)[1]


def _layout(prompt_format: PromptFormat) -> tuple[str, str]:
    """What a template writes up to the response, and after it."""
    before, _, after = (prompt_format.template or "").partition("{response}")
    return before, after
