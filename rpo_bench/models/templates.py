"""Applies templates to prompts, up to where the response begins, and to ends of responses."""

from collections.abc import Iterable
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.data.transcripts import conversation_of
from rpo_bench.errors import UserError, first_line
from rpo_bench.spec.sections import PromptFormat

#: Some chat templates (Llama 3's) write today's date into the prompt unless a date is given.
_DATE = "26 Jul 2024"
#: Sets that date inside a template, for callers that can't pass it.
DATED = f"{{%- set date_string = '{_DATE}' -%}}"
_MARK = "response-goes-here"
#: Roles of system turns in templates.
SYSTEM_ROLES = ("system", "developer")


def written_prompt(tokenizer: Any, text: str, prompt_format: PromptFormat | None) -> str:
    """The prompt in its format, up to where the response begins."""
    if isinstance(text, Conversation):
        return _written_turns(tokenizer, text, prompt_format)
    if prompt_format is None:
        return text
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, text)
    return _layout(prompt_format)[0].replace("{prompt}", text)


def after_response(tokenizer: Any, prompt_format: PromptFormat) -> str:
    """The text that a format writes after a response."""
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, "prompt", _MARK).rpartition(_MARK)[2]
    return _layout(prompt_format)[1]


def chat_text(
    tokenizer: Any,
    prompt_format: PromptFormat,
    prompt: str,
    response: str | None = None,
    *,
    header: bool = True,
) -> str:
    """A conversation in the template: up to where the response begins, or with the response.

    A conversation's turns are unchanged. The format's system turn is put first unless they have their own.
    ``header=False`` leaves out the header of the response.
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
        add_generation_prompt=header and response is None,
        date_string=_DATE,
    )
    return written


def messages_of(prompt: str) -> list[dict[str, str]]:
    """A prompt's turns as messages for chat templates; a text is a single user turn."""
    return prompt.messages if isinstance(prompt, Conversation) else [{"role": "user", "content": prompt}]


def as_turns(prompt: str, prompt_format: PromptFormat | None) -> str:
    """The prompt as a chat template reads it: a transcript as a conversation; unchanged in other formats."""
    is_chat = prompt_format is not None and prompt_format.kind == "chat"
    return conversation_of(prompt) if is_chat else prompt


def check_turns(tokenizer: Any, prompts: Iterable[str], prompt_format: PromptFormat | None) -> None:
    """Checks that a format can write every prompt that is a conversation; raises UserError otherwise."""
    for prompt in prompts:
        turns = as_turns(prompt, prompt_format)
        if isinstance(turns, Conversation):
            written_prompt(tokenizer, turns, prompt_format)


def _written_turns(tokenizer: Any, prompt: Conversation, prompt_format: PromptFormat | None) -> str:
    """A conversation in the template; raises UserError if the template omits a turn."""
    start = repr(prompt.turns[0].content[:40])
    if prompt_format is None or prompt_format.kind != "chat":
        raise UserError(
            f"The conversation that begins {start} has several turns, which need a chat template: give "
            "--prompt-format chat, or a .jinja file."
        )
    try:
        written = chat_text(tokenizer, prompt_format, prompt)
    except Exception as error:  # a template may raise anything
        reason = first_line(error)
        raise UserError(
            f"The chat template can't write the conversation that begins {start}: {reason}."
        ) from error
    for role, content in prompt.turns:  # templates may remove an assistant's thoughts from earlier turns
        if role != "assistant" and content.strip() not in written:
            raise UserError(
                f"The chat template leaves out the '{role}' turn {content[:40]!r} of a conversation: give "
                "another one by --prompt-format FILE.jinja."
            )
    return written


def _layout(prompt_format: PromptFormat) -> tuple[str, str]:
    """The parts of a template before and after the response."""
    before, _, after = (prompt_format.template or "").partition("{response}")
    return before, after
