"""How a prompt becomes tokens, and what ends its answer: one rule for training, sampling and scoring."""

from collections.abc import Iterable, Sequence
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.errors import UserError
from rpo_bench.spec import PromptFormat

#: Some chat templates (Llama 3's) write today's date into the prompt unless they are told one.
_DATE = "26 Jul 2024"
#: Says that date to a template whose caller can't.
DATED = f"{{%- set date_string = '{_DATE}' -%}}"
_MARK = "response-goes-here"
_SYSTEM = ("system", "developer")


def prompt_ids(
    tokenizer: Any, text: str, is_encoder_decoder: bool, prompt_format: PromptFormat | None = None
) -> list[int]:
    """The token ids that a model is conditioned on.

    Without a chat format the tokenizer's own special tokens are added as its post-processor says (BOS for
    Llama, a final end-of-sequence for T5). For a decoder-only model a final end-of-sequence is taken off,
    because the response has to follow it. A text that gives no token becomes BOS, or EOS where there is no
    BOS. A chat template writes its special tokens itself, so none is added to it.

    Args:
        tokenizer: A Hugging Face tokenizer.
        text: The prompt.
        is_encoder_decoder: Whether the prompt goes to an encoder.
        prompt_format: What is written around it; None: nothing.

    Returns:
        At least one token id.
    """
    written = _written(tokenizer, text, prompt_format)
    if prompt_format is not None and prompt_format.kind == "chat":
        return list(tokenizer(written, add_special_tokens=False).input_ids)
    ids: list[int] = list(tokenizer(written).input_ids)
    bos = tokenizer.bos_token_id
    if prompt_format is not None and bos is not None and ids[:2] == [bos, bos]:
        ids = ids[1:]  # the template has written it already
    if not is_encoder_decoder and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        ids = [tokenizer.eos_token_id if bos is None else bos]
    return ids


def end_ids(tokenizer: Any, prompt_format: PromptFormat | None = None) -> tuple[int, ...]:
    """The tokens that end a response; the first is what responses that are trained on end with.

    Without a format it is end-of-sequence. With one it is the special token that the template writes after a
    response (the end of the turn), and end-of-sequence where that is another token.
    """
    eos = int(tokenizer.eos_token_id)
    if prompt_format is None:
        return (eos,)
    ids = tokenizer(_after_response(tokenizer, prompt_format), add_special_tokens=False).input_ids
    special = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    return tuple(dict.fromkeys([*ids[:1], eos])) if ids and ids[0] in special else (eos,)


def response_texts(tokenizer: Any, ends: Sequence[int], responses: Sequence[Sequence[int]]) -> list[str]:
    """What responses say: without special tokens, and without the token that ended them."""
    kept = [list(row[:-1]) if len(row) and row[-1] in ends else list(row) for row in responses]
    found: list[str] = tokenizer.batch_decode(
        kept, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return found


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


def chat_text(tokenizer: Any, prompt_format: PromptFormat, prompt: str, response: str | None = None) -> str:
    """A conversation as the template writes it: up to where the response begins, or with the response.

    The turns of a prompt that is a conversation stay as they are; the format's system turn comes before them
    where they have none of their own.
    """
    turns = messages_of(prompt)
    if prompt_format.system is not None and turns[0]["role"] not in _SYSTEM:
        turns.insert(0, {"role": "system", "content": prompt_format.system})
    if response is not None:
        turns.append({"role": "assistant", "content": response})
    written: str = tokenizer.apply_chat_template(
        turns,
        chat_template=prompt_format.template,
        tokenize=False,
        add_generation_prompt=response is None,
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
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
